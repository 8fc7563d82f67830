/** Which alerts are not told of: those that somebody silenced, and those that another alert explains; pure. */
import type { AlertRecord, SilenceRecord } from "../wire/asserts.ts";
import { toTest } from "./matcher.ts";
import { parseMatchers } from "./parser.ts";

export interface Suppression {
  readonly silencedBy: string | null;
  readonly inhibitedBy: string | null;
}

export type Suppressions = ReadonlyMap<string, Suppression>;

/** Only of alerts that are suppressed. Matchers that cannot be read suppress nothing. */
export function toSuppressions(
  alerts: ReadonlyMap<string, AlertRecord>,
  silences: ReadonlyMap<string, SilenceRecord>,
  wall: number,
): Suppressions {
  const active = [...silences]
    .filter(([, silence]) => isActive(silence, wall))
    .map(([id, silence]) => ({ id, test: toLabelTest(silence.matchers) }));
  const inhibitors = [...alerts].flatMap(([fingerprint, alert]) =>
    alert.state === "firing" && alert.inhibits.length > 0
      ? [{ fingerprint, name: alert.name, tests: alert.inhibits.map(toLabelTest) }]
      : [],
  );
  const found = new Map<string, Suppression>();
  for (const [fingerprint, { labels }] of alerts) {
    const silencedBy = active.find(({ test }) => test(labels))?.id ?? null;
    const inhibitedBy =
      inhibitors.find((one) => one.fingerprint !== fingerprint && one.tests.some((test) => test(labels)))
        ?.name ?? null;
    if (silencedBy !== null || inhibitedBy !== null) found.set(fingerprint, { silencedBy, inhibitedBy });
  }
  return found;
}

export function isActive(silence: SilenceRecord, wall: number): boolean {
  return wall < Date.parse(silence.expiresAt);
}

/** A test of labels by matchers as they are written. */
export function toLabelTest(matchers: string): (labels: Readonly<Record<string, string>>) => boolean {
  try {
    return toTest(parseMatchers(matchers));
  } catch {
    return () => false;
  }
}
