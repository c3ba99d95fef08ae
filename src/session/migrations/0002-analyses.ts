// Migration 2: what is made of a recording afterwards (neuron models, ablations, the images evolved for them, exports), and the runs in which
// it was added. Released: never change it, add a new one (a test pins its hash). The conventions are those of migration 1.
//
// Models are named by the hash of what they are, not by a number: a row may name a model that is not stored here, and the same model made
// twice has one name.
export const analyses = `
-- 'afterwards': not a recording; replay, resumption and the state of the session know only recordings.
ALTER TABLE runs ADD COLUMN purpose TEXT NOT NULL DEFAULT 'recording' CHECK (purpose IN ('recording', 'afterwards'));

-- One linear model of one channel: rate_hz = coefficients_hz . features + intercept_hz, features being the layer's raw activations.
CREATE TABLE neuron_models (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  weights_sha256 TEXT NOT NULL,
  channel INTEGER NOT NULL,
  channel_name TEXT NOT NULL,
  encoder_id TEXT NOT NULL,
  encoder_sha256 TEXT NOT NULL,
  layer TEXT NOT NULL,
  method TEXT NOT NULL,
  components INTEGER,
  penalty REAL,
  split TEXT NOT NULL,
  split_seed INTEGER NOT NULL,
  train_image_count INTEGER NOT NULL,
  test_image_count INTEGER NOT NULL,
  r2_train REAL,
  r2_test REAL,
  r REAL,
  noise_ceiling_r REAL,
  noise_corrected_r REAL,
  positive_to_negative REAL,
  converged INTEGER NOT NULL CHECK (converged IN (0, 1)),
  settings_json TEXT NOT NULL CHECK (json_valid(settings_json)),
  intercept_hz REAL NOT NULL,
  coefficients_type TEXT NOT NULL CHECK (coefficients_type IN ('f32', 'f64')),
  coefficients_hz BLOB NOT NULL
) STRICT;
CREATE INDEX neuron_models_by_channel ON neuron_models (channel);
CREATE INDEX neuron_models_by_weights ON neuron_models (weights_sha256);

-- One model with a share alpha of the total weight of one sign removed.
CREATE TABLE ablations (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  weights_sha256 TEXT NOT NULL,
  unit TEXT NOT NULL,
  encoder_id TEXT NOT NULL,
  encoder_sha256 TEXT NOT NULL,
  layer TEXT NOT NULL,
  sign TEXT NOT NULL CHECK (sign IN ('positive', 'negative')),
  alpha REAL NOT NULL CHECK (alpha BETWEEN 0 AND 1),
  rule TEXT NOT NULL,
  weight_count INTEGER NOT NULL,
  zeroed_count INTEGER NOT NULL,
  removed_share REAL NOT NULL
) STRICT;
CREATE INDEX ablations_by_weights ON ablations (weights_sha256, sign, alpha);

-- One image evolved for an ablated model. weights_sha256, sign, alpha and rule name the ablation.
CREATE TABLE visualisations (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  weights_sha256 TEXT NOT NULL,
  sign TEXT NOT NULL CHECK (sign IN ('positive', 'negative')),
  alpha REAL NOT NULL CHECK (alpha BETWEEN 0 AND 1),
  rule TEXT NOT NULL,
  generator_id TEXT NOT NULL,
  generator_sha256 TEXT NOT NULL,
  run INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  image_of TEXT NOT NULL,
  generation INTEGER,
  activation_hz REAL,
  intact_activation_hz REAL,
  object_energy REAL,
  objectness REAL,
  settings_json TEXT NOT NULL CHECK (json_valid(settings_json)),
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  rgb_sha256 BLOB NOT NULL,
  latent_type TEXT NOT NULL CHECK (latent_type IN ('f32', 'f64')),
  latent BLOB NOT NULL,
  png BLOB NOT NULL
) STRICT;
CREATE INDEX visualisations_by_weights ON visualisations (weights_sha256, sign, alpha);

-- sha256 is NULL where the export is a folder.
CREATE TABLE exports (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  at_utc TEXT NOT NULL,
  format TEXT NOT NULL,
  path TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT,
  check_count INTEGER NOT NULL,
  app_version TEXT NOT NULL
) STRICT;
`;
