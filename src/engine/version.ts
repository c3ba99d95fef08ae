// The app's version, written into every session file; a test holds it against package.json. Knows nothing else.
export const appVersion = "0.1.0";
