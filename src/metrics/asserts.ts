/**
 * Asserts: claims about metrics that should always hold, and the alerts that follow when they do not. Beside
 * metrics.ts a door of its own, for controllers alone: every process measures, few judge.
 *
 *   const assert = parseAssert("slow", { expr: 'p99(http.latency_ms{app="shop"}, 1m) < 50', forMs: 10_000 });
 *   const { verdict, finding } = judge(assert, view, clock.now());
 *   watch.step([toSignal(assert, verdict, finding)], { now, wall });
 *   const writes = planAlerts(watch.all, stored, wall);
 *
 * tokens.ts → parser.ts → expression.ts: the language (docs/asserts.md). evaluate.ts: to a value, and three-valued.
 * backtest.ts, kept.ts: over the past, in memory and in the database. assert.ts: with the policy of its record. alert.ts, watch.ts: inactive, pending, firing, resolved; watched by
 * every controller. alert-plan.ts: what the leader writes. suppression.ts, notice.ts, bodies.ts: who is told of
 * what, when, and how it reads. shipped.ts: what is watched by default. rules.ts: the same for Prometheus.
 * All of it is pure.
 */
export { type AlertWrite, planAlerts } from "./alert-plan.ts";
export { type Assert, judge, parseAssert, toReachMs, type Verdicts } from "./assert.ts";
export { type Backtest, backtest, type Span } from "./backtest.ts";
export { toBody } from "./bodies.ts";
export type { Finding, Source } from "./evaluate.ts";
export { toMeasures } from "./expression.ts";
export { toMeasureText } from "./expression-text.ts";
export { toFingerprint } from "./fingerprint.ts";
export { createLook, type Look } from "./kept.ts";
export { type Group, isForgotten, type Notice, nextNotice, toGroups } from "./notice.ts";
export { parseMatchers } from "./parser.ts";
export { parseReceiver, toMasked, toTargets } from "./receiver.ts";
export { toRules } from "./rules.ts";
export { shippedAsserts } from "./shipped.ts";
export { isActive, type Suppressions, toLabelTest, toSuppressions } from "./suppression.ts";
export { type Moment, type Signal, Watch, type Watched } from "./watch.ts";
