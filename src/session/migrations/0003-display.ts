// Migration 3: how the display behaved: its lag at the start of every run, and every presentation's flips beside what the photodiode saw.
// Released: never change it, add a new one (a test pins its hash). The conventions are those of migration 1.
export const display = `
CREATE TABLE display_calibrations (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  refresh_hz REAL NOT NULL,
  photodiode_code TEXT NOT NULL,
  flash_count INTEGER NOT NULL,
  mark_count INTEGER NOT NULL,
  durations_seen_count INTEGER NOT NULL,
  lag_median_ms REAL,
  lag_mean_ms REAL,
  lag_sd_ms REAL,
  lag_min_ms REAL,
  lag_max_ms REAL,
  skipped_because TEXT NOT NULL
) STRICT;

-- One row a presentation that reached the screen. Frames are refreshes of the display; what was "seen" was seen by the photodiode.
CREATE TABLE flips (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  presentation_id INTEGER NOT NULL,
  planned_host_ns REAL NOT NULL,
  onset_host_ns REAL NOT NULL,
  offset_host_ns REAL,
  frames_planned INTEGER NOT NULL,
  frames_shown INTEGER NOT NULL,
  late_frames INTEGER NOT NULL,
  frames_seen INTEGER,
  frames_repeated INTEGER,
  frames_dropped INTEGER,
  onset_error_ms REAL
) STRICT;
CREATE INDEX flips_by_presentation ON flips (presentation_id);
`;
