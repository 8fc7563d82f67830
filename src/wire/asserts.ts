/** Asserts, alerts, silences and receivers: as they lie in the registry, and as the API shows them. */

export const noDataPolicies = ["violated", "unknown", "ok"] as const;
export type NoData = (typeof noDataPolicies)[number];

export const severities = ["critical", "warning", "info"] as const;
export type Severity = (typeof severities)[number];

/** `/asserts/NAME`: a claim about metrics that should always hold. */
export interface AssertRecord {
  /** docs/asserts.md */
  readonly expr: string;
  /** Violated for so long before it fires. */
  readonly forMs: number;
  /** Fires on for so long after it holds again. */
  readonly keepFiringForMs: number;
  /** What it means that there is nothing to measure. */
  readonly noData: NoData;
  /** Fewer observations than this are no verdict. */
  readonly minSamples: number;
  readonly severity: Severity;
  readonly description: string;
  /** Where it says what to do. */
  readonly runbook: string;
  /** Alerts that match one of these are held back while it fires: `{app="shop"}`. */
  readonly inhibits: readonly string[];
  /** False: not evaluated. */
  readonly on: boolean;
}

export type AssertChange = Partial<AssertRecord>;

/** A name that is also a part of a path and a label's value. */
export const assertName = /^[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

export const pastSources = ["seconds", "tens", "minutes", "nothing"] as const;
export type PastSource = (typeof pastSources)[number];
export const verdicts = ["ok", "violated", "unknown"] as const;
export type Verdict = (typeof verdicts)[number];
export const alertStates = ["inactive", "pending", "firing", "resolved"] as const;
export type AlertState = (typeof alertStates)[number];

/** One line of the wall. */
export interface AssertReply {
  readonly name: string;
  /** `shipped` comes with Nines; `adjusted` is a shipped one that somebody has changed here. */
  readonly origin: "shipped" | "adjusted" | "own";
  /** Null when what lies in the registry could never be read; `why` says what is wrong with it. */
  readonly record: AssertRecord | null;
  readonly verdict: Verdict | "off";
  readonly state: AlertState;
  readonly value: number | null;
  readonly threshold: number | null;
  readonly samples: number;
  readonly ageMs: number | null;
  /** Since when the verdict is what it is. */
  readonly since: string | null;
  /** Why it is not known, or what is wrong with its record. */
  readonly why: string;
}

export interface AssertsReply {
  readonly controller: string;
  /** How long ago it evaluated; null before the first time. */
  readonly evaluatedMs: number | null;
  readonly asserts: readonly AssertReply[];
}

export interface AssertSetReply {
  readonly name: string;
  readonly record: AssertRecord;
  /** What may be wrong with it although it was taken; null when nothing is. */
  readonly warning: string | null;
}

export interface AssertTestReply {
  readonly expr: string;
  readonly from: string;
  readonly to: string;
  /** Steps that were looked at, and how many of each verdict. */
  readonly steps: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  /** When it would have fired. */
  readonly firings: readonly {
    readonly from: string;
    readonly to: string | null;
    readonly worst: number | null;
  }[];
  /** What it stands on: memory's seconds or tens of seconds, the database's minutes, or nothing. */
  readonly spans: readonly { readonly from: string; readonly to: string; readonly source: PastSource }[];
  /** Why the database's minutes are not there; empty when they are, or were not needed. */
  readonly missing: string;
}

/** One alert: `/alerts/FINGERPRINT`, and in replies. */
export interface AlertRecord {
  readonly name: string;
  readonly state: Exclude<AlertState, "inactive">;
  /** Since when it is in this state. */
  readonly since: string;
  /** When it began to fire; null while it is pending. */
  readonly startsAt: string | null;
  readonly endsAt: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What was measured when it got into this state. */
  readonly value: number | null;
  readonly threshold: number | null;
  /** What it holds back, as matchers. */
  readonly inhibits: readonly string[];
}

export interface AlertReply extends AlertRecord {
  readonly fingerprint: string;
  /** Id of the silence, or name of the alert, that holds its notices back. */
  readonly silencedBy: string | null;
  readonly inhibitedBy: string | null;
}

/** `/silences/ID` */
export interface SilenceRecord {
  readonly matchers: string;
  readonly by: string;
  readonly why: string;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface AlertsReply {
  readonly staleMs: number;
  readonly alerts: readonly AlertReply[];
}

export interface SilenceReply extends SilenceRecord {
  readonly id: string;
  readonly active: boolean;
}

export const receiverKinds = ["webhook", "alertmanager", "slack", "smtp", "heartbeat"] as const;
export type ReceiverKind = (typeof receiverKinds)[number];

/** `/receivers/NAME`: who is told of alerts. */
export interface ReceiverRecord {
  readonly kind: ReceiverKind;
  /** Several for the instances of an Alertmanager alone. */
  readonly urls: readonly string[];
  /** Alerts that it is told of; empty is all. */
  readonly matchers: string;
  /** Labels whose values alerts must share to be told of together. */
  readonly groupBy: readonly string[];
  /** How long the first alert of a group waits for others. */
  readonly groupWaitMs: number;
  /** Between two notices of a group that has changed. */
  readonly groupIntervalMs: number;
  /** Between two notices of a group that has not. */
  readonly repeatIntervalMs: number;
  readonly sendResolved: boolean;
}

export interface ReceiverReply extends Omit<ReceiverRecord, "urls"> {
  readonly name: string;
  /** With everything that could be secret replaced. */
  readonly urls: readonly string[];
  /** Notices that wait for it. */
  readonly waiting: number;
  readonly dead: number;
  /** Why it cannot be reached; null while it can. */
  readonly trouble: string | null;
}

/** `/notices/RECEIVER/GROUP`: what a receiver was told last of a group of alerts. */
export interface NoticeRecord {
  readonly at: string;
  /** Fingerprints of the alerts that it knows to be firing, with their `startsAt`. */
  readonly firing: Readonly<Record<string, string>>;
  /** Grows with each notice. */
  readonly number: number;
}

export const alertPaths = {
  assert: (name: string) => `/asserts/${name}`,
  alert: (fingerprint: string) => `/alerts/${fingerprint}`,
  silence: (id: string) => `/silences/${id}`,
  receiver: (name: string) => `/receivers/${name}`,
  notice: (receiver: string, group: string) => `/notices/${receiver}/${group}`,
} as const;
