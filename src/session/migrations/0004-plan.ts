// Migration 4: the steps of a session's plan, and which step every image and presentation belongs to. Released: never change it, add a new
// one (a test pins its hash). The conventions are those of migration 1.
//
// The new columns are NULL in rows from before.
export const plan = `
-- One row when a step begins and one when it ends.
CREATE TABLE steps (
  seq INTEGER PRIMARY KEY,
  host_ns REAL NOT NULL,
  step INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('begun', 'done', 'skipped')),
  protocol TEXT NOT NULL,
  title TEXT NOT NULL,
  settings_json TEXT NOT NULL CHECK (json_valid(settings_json)),
  source_sha256 TEXT,
  data_json TEXT NOT NULL CHECK (json_valid(data_json))
) STRICT;

-- image_key: what the step's protocol knows the image by.
ALTER TABLE images ADD COLUMN step INTEGER;
ALTER TABLE images ADD COLUMN image_key TEXT;

-- block: number of the block within the step; item: what the block knows the planned presentation by.
-- Centre and side, seen (degrees from the fixation spot, right and up positive) and on the screen; NULL = where the session places images.
ALTER TABLE presentations ADD COLUMN step INTEGER;
ALTER TABLE presentations ADD COLUMN block INTEGER;
ALTER TABLE presentations ADD COLUMN item INTEGER;
ALTER TABLE presentations ADD COLUMN centre_x_deg REAL;
ALTER TABLE presentations ADD COLUMN centre_y_deg REAL;
ALTER TABLE presentations ADD COLUMN size_deg REAL;
ALTER TABLE presentations ADD COLUMN centre_x_px REAL;
ALTER TABLE presentations ADD COLUMN centre_y_px REAL;
ALTER TABLE presentations ADD COLUMN size_px REAL;
CREATE INDEX presentations_by_step ON presentations (step, block);
`;
