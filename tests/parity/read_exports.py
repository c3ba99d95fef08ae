# Reads an NWB and a MATLAB export with h5py, and with pynwb where it is installed, and prints what it found as JSON.
# Knows nothing about how they were written.
import json
import sys

import h5py
import numpy as np

nwb_file, mat_file = sys.argv[1:3]
found = {}

with h5py.File(nwb_file, "r") as f:
    index = f["units/spike_times_index"][:]
    times = f["units/spike_times"][:]
    starts = np.concatenate([[0], index[:-1]])
    shown = f["intervals/presentations"]
    order = f["stimulus/presentation"]
    found["nwb"] = {
        "version": f.attrs["nwb_version"],
        "spikes": int(times.size),
        "unitsSorted": bool(all(np.all(np.diff(times[a:b]) >= 0) for a, b in zip(starts, index))),
        "presentations": int(shown["id"].size),
        "rateSum": float(np.nansum(shown["rate_hz"][:])),
        "generationMeans": f["processing/evolution/generations/evolved_mean_hz"][:].tolist(),
        "latents": list(f["processing/evolution/images/latents"].shape),
        "stimuli": list(order.keys()),
    }


def struct(f, name):
    """A MATLAB struct of columns: doubles are 1 x n here, n x 1 in MATLAB."""
    return {k: np.asarray(v).ravel() for k, v in f[name].items() if v.attrs.get("MATLAB_class") in (b"double", b"int32", b"uint8", b"logical")}


with h5py.File(mat_file, "r") as f:
    found["mat"] = {
        "spikes": int(f["spikes/time_s"].size),
        "rateSum": float(np.nansum(struct(f, "presentations")["rate_hz"])),
        "generationMeans": struct(f, "generations")["evolved_mean_hz"].tolist(),
        "words": ["".join(chr(c) for c in np.asarray(f[ref]).ravel()) for ref in np.asarray(f["generations/optimizer_words"]).ravel()],
    }

try:
    import pynwb

    with pynwb.NWBHDF5IO(nwb_file, "r") as io:
        read = io.read()
        found["pynwb"] = {"version": pynwb.__version__, "units": len(read.units), "trials": len(read.trials), "subject": read.subject.subject_id}
    problems, _ = pynwb.validate(paths=[nwb_file])
    found["pynwb"]["problems"] = [str(p) for p in problems]
except ImportError:
    found["pynwb"] = None

print(json.dumps(found))
