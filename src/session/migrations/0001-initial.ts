// Migration 1: the session file from nothing. Released: never change it, add a new one (a test pins its hash).
//
// Conventions: STRICT tables; units last in column names; `seq` is the session's global sequence number; `_host_ns` is the computer's
// monotonic clock, `_rig_ns` the rig's. Times are REAL so that they come back bit for bit. Large blobs are last in their table.
// docs/session-file.md describes the blobs.
export const initial = `
CREATE TABLE session (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  session_id TEXT NOT NULL,
  started_utc TEXT NOT NULL,
  seed TEXT NOT NULL,
  rig TEXT NOT NULL,
  protocol TEXT NOT NULL,
  description TEXT NOT NULL,
  experimenters_json TEXT NOT NULL CHECK (json_valid(experimenters_json)),
  lab TEXT NOT NULL,
  institution TEXT NOT NULL,
  config_json TEXT NOT NULL CHECK (json_valid(config_json))
) STRICT;

CREATE TABLE subject (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  subject_id TEXT NOT NULL,
  species TEXT NOT NULL,
  sex TEXT NOT NULL CHECK (sex IN ('M', 'F', 'O', 'U')),
  age_iso8601 TEXT,
  date_of_birth TEXT,
  weight_kg REAL,
  description TEXT NOT NULL
) STRICT;

-- One row for each time a writer opened the file: the first recording and every resumption. A row without ended_utc was cut short.
CREATE TABLE runs (
  run_id INTEGER PRIMARY KEY,
  first_seq INTEGER NOT NULL,
  started_utc TEXT NOT NULL,
  app_version TEXT NOT NULL,
  host_kind TEXT NOT NULL,
  ended_utc TEXT,
  last_seq INTEGER
) STRICT;

CREATE TABLE device_lists (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL
) STRICT;

CREATE TABLE devices (
  seq INTEGER NOT NULL REFERENCES device_lists (seq),
  position INTEGER NOT NULL,
  role TEXT NOT NULL,
  name TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (seq, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_lists (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL
) STRICT;

CREATE TABLE channels (
  seq INTEGER NOT NULL REFERENCES channel_lists (seq),
  position INTEGER NOT NULL,
  channel_index INTEGER NOT NULL,
  name TEXT NOT NULL,
  area TEXT NOT NULL,
  x_mm REAL,
  y_mm REAL,
  PRIMARY KEY (seq, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  role TEXT NOT NULL,
  model_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  provider TEXT NOT NULL
) STRICT;

CREATE TABLE images (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  image_id INTEGER NOT NULL UNIQUE,
  image_kind TEXT NOT NULL,
  thread INTEGER,
  generation INTEGER,
  individual INTEGER,
  label TEXT NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  rgb_sha256 BLOB NOT NULL,
  latent_type TEXT CHECK (latent_type IN ('f32', 'f64')),
  latent BLOB,
  png BLOB NOT NULL
) STRICT;
CREATE INDEX images_by_generation ON images (thread, generation, individual);

CREATE TABLE trials (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  trial_id INTEGER NOT NULL UNIQUE,
  start_host_ns REAL NOT NULL,
  end_host_ns REAL NOT NULL,
  outcome TEXT NOT NULL,
  images_planned INTEGER NOT NULL,
  images_completed INTEGER NOT NULL,
  reward_ms REAL NOT NULL
) STRICT;

CREATE TABLE presentations (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  presentation_id INTEGER NOT NULL UNIQUE,
  trial_id INTEGER NOT NULL,
  image_id INTEGER NOT NULL,
  thread INTEGER,
  generation INTEGER,
  scheduled_host_ns REAL NOT NULL,
  flip_host_ns REAL,
  onset_rig_ns REAL,
  onset_source TEXT,
  frames_planned INTEGER NOT NULL,
  frames_shown INTEGER NOT NULL,
  late_frames INTEGER NOT NULL,
  rate_hz REAL,
  target_channel INTEGER NOT NULL,
  window_start_ms REAL NOT NULL,
  window_end_ms REAL NOT NULL,
  excluded_because TEXT,
  counts BLOB,
  baseline_counts BLOB
) STRICT;
CREATE INDEX presentations_by_generation ON presentations (generation, thread);
CREATE INDEX presentations_by_image ON presentations (image_id);

-- Optimizer states by content: the state after one generation is usually the state before the next.
CREATE TABLE optimizer_states (
  sha256 BLOB PRIMARY KEY,
  state BLOB NOT NULL
) STRICT;

CREATE TABLE generations (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  thread INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  target_channel INTEGER NOT NULL,
  optimizer TEXT NOT NULL,
  state_before_sha256 BLOB NOT NULL REFERENCES optimizer_states (sha256),
  state_after_sha256 BLOB NOT NULL REFERENCES optimizer_states (sha256),
  rng_state_json TEXT NOT NULL,
  evolved_mean_hz REAL,
  evolved_sem_hz REAL,
  reference_mean_hz REAL,
  reference_sem_hz REAL,
  step_size REAL,
  missing_count INTEGER NOT NULL,
  best_image_id INTEGER,
  scores_hz BLOB NOT NULL
) STRICT;
CREATE INDEX generations_by_number ON generations (thread, generation);

CREATE TABLE spikes (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  watermark_rig_ns REAL NOT NULL,
  arrived_host_ns REAL NOT NULL,
  first_rig_ns REAL,
  last_rig_ns REAL,
  spike_count INTEGER NOT NULL,
  batch BLOB NOT NULL
) STRICT;
CREATE INDEX spikes_by_time ON spikes (first_rig_ns, last_rig_ns);

CREATE TABLE eye (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  first_rig_ns REAL,
  last_rig_ns REAL,
  sample_count INTEGER NOT NULL,
  batch BLOB NOT NULL
) STRICT;
CREATE INDEX eye_by_time ON eye (first_rig_ns, last_rig_ns);

-- rig_ns = anchor_rig_ns + (host_ns - anchor_host_ns) * (1 + drift_ppm / 1e6)
CREATE TABLE clock_maps (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  anchor_host_ns REAL NOT NULL,
  anchor_rig_ns REAL NOT NULL,
  drift_ppm REAL,
  uncertainty_ms REAL
) STRICT;

CREATE TABLE marks (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  mark_kind TEXT NOT NULL,
  rig_ns REAL NOT NULL,
  line INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state IN (0, 1)),
  word INTEGER,
  presentation_id INTEGER
) STRICT;

CREATE TABLE rewards (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  pulse_ms REAL NOT NULL,
  cause TEXT NOT NULL,
  delivered INTEGER NOT NULL CHECK (delivered IN (0, 1))
) STRICT;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  category TEXT NOT NULL,
  severity TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  data_json TEXT NOT NULL
) STRICT;
`;
