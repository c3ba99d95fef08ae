// Texts of command lines and forms to the values that analyses take. Knows nothing about who typed them.

/** "0:1:0.1" (first, last, step) or "0,0.5,1": strengths in the order given, each the nearest decimal. Throws with what was expected. */
export function parseAlphas(text: string): number[] {
  const numbers = text.split(/[:,]/).map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (numbers.some((value) => !Number.isFinite(value))) throw new Error("Expected FIRST:LAST:STEP such as 0:1:0.1, or a list such as 0,0.5,1.");
  let alphas = numbers;
  if (text.includes(":")) {
    const [first = 0, last = 0, step = 0] = numbers;
    if (numbers.length !== 3 || !(step > 0) || last < first) throw new Error("Expected FIRST:LAST:STEP with a step above 0 and last not below first.");
    const count = Math.floor((last - first) / step + 1e-9) + 1;
    if (count > 1001) throw new Error(`Expected at most 1001 strengths, got ${count}.`);
    alphas = Array.from({ length: count }, (_, i) => Number((first + i * step).toFixed(10)));
  }
  const outside = alphas.find((alpha) => alpha < 0 || alpha > 1);
  if (outside !== undefined) throw new Error(`Expected strengths from 0 to 1, got ${outside}.`);
  return [...new Set(alphas)];
}

/** Comma-separated names without empty ones. */
export function parseNames(text: string): string[] {
  return text.split(",").map((name) => name.trim()).filter((name) => name !== "");
}

/** "net=0,robust=4": strength of adversarial training in units of 1/255. */
export function parseEpsilons(text: string): Record<string, number> {
  return Object.fromEntries(
    parseNames(text).map((pair) => {
      const [name = "", value = ""] = pair.split("=");
      if (name === "" || value === "" || !(Number(value) >= 0)) throw new Error(`Expected NETWORK=EPSILON with an epsilon from 0 up, got "${pair}".`);
      return [name, Number(value)];
    }),
  );
}

/** The command as it can be typed again in a POSIX shell. */
export function quoteCommand(args: readonly string[]): string {
  return ["evoked", ...args].map((part) => (/^[A-Za-z0-9_./:,=@%+-]+$/.test(part) ? part : `'${part.replace(/'/g, "'\\''")}'`)).join(" ");
}
