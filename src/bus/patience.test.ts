import { expect, test } from "bun:test";
import { Patience } from "./patience.ts";

const limits = { minMs: 100, maxMs: 250 };

test("a broker that nothing is known of has all the time there is", () => {
  expect(new Patience(limits).timeoutMs).toBe(250);
});

test("one that answers at once is given up sooner, but never sooner than the least", () => {
  const patience = new Patience(limits);
  for (let ack = 0; ack < 20; ack++) patience.acked(2);
  expect(patience.timeoutMs).toBe(100);
});

test("one that is slow by habit is waited for, and never longer than the most", () => {
  const patience = new Patience(limits);
  for (let ack = 0; ack < 50; ack++) patience.acked(150);
  expect(patience.timeoutMs).toBeGreaterThan(149);
  for (let ack = 0; ack < 50; ack++) patience.acked(900);
  expect(patience.timeoutMs).toBe(250);
});

test("a single late ack of a quick one buys it more time at once, which many quick ones use up again", () => {
  const patience = new Patience(limits);
  for (let ack = 0; ack < 50; ack++) patience.acked(2);
  patience.acked(180);
  const wary = patience.timeoutMs;
  expect(wary).toBeGreaterThan(150);
  for (let ack = 0; ack < 50; ack++) patience.acked(2);
  expect(patience.timeoutMs).toBe(100);
});
