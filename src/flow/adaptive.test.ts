import { expect, test } from "bun:test";
import { type Adaptive, advance, startAdaptive } from "./adaptive.ts";

const bounds = { min: 2, max: 200 };

/** Behind the valve is a server that does `capacity` calls at once in `ms`; more of them wait for one another. */
function serve(state: Adaptive, calls: number, capacity: number, ms: number): Adaptive {
  for (let i = 0; i < calls; i++) {
    const inflight = Math.floor(state.limit);
    const took = ms * Math.max(1, inflight / capacity);
    state = advance(state, bounds, { ms: took, inflight, outcome: "ok" });
  }
  return state;
}

test("it opens while calls stay as fast as they were, up to its bound", () => {
  expect(serve(startAdaptive(bounds), 2_000, 10_000, 5).limit).toBe(bounds.max);
});

test("it closes when calls begin to queue behind it, and opens again when they do not", () => {
  let state = serve(startAdaptive(bounds), 2_000, 10_000, 5);
  state = serve(state, 300, 20, 5);
  expect(state.limit).toBeLessThan(100);
  state = serve(state, 3_000, 10_000, 5);
  expect(state.limit).toBe(bounds.max);
});

test("dropped calls take it down to its bound and no further; unused room does not raise it", () => {
  let state = startAdaptive(bounds);
  for (let i = 0; i < 100; i++) state = advance(state, bounds, { ms: 5, inflight: 20, outcome: "dropped" });
  expect(state.limit).toBe(bounds.min);
  const idle = advance({ limit: 50, longMs: 5, shortMs: 5 }, bounds, { ms: 5, inflight: 3, outcome: "ok" });
  expect(idle.limit).toBe(50);
});
