/** Scenarios have two lengths: NINES_TEST=short is what `npm test` runs; the long one is the proof. */
export const short = process.env.NINES_TEST === "short";

/** How often to do something. */
export function times(inShort: number, inLong: number): number {
  return short ? inShort : inLong;
}
