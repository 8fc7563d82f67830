/** Chance from a seed: the same seed gives the same numbers, everywhere and for ever. Pure (mulberry32). */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `from` up to and without `to`. */
  between(from: number, to: number): number;
  shuffle<T>(list: readonly T[]): T[];
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from));
  return {
    next,
    between,
    shuffle(list) {
      const dealt = [...list];
      for (let at = dealt.length - 1; at > 0; at--) {
        const other = between(0, at + 1);
        [dealt[at], dealt[other]] = [dealt[other] as never, dealt[at] as never];
      }
      return dealt;
    },
  };
}
