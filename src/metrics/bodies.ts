/** Notices as the receivers read them: Alertmanager's webhook (version 4), its API, Slack, mail; pure. */
import type { AlertRecord, ReceiverKind } from "../wire/asserts.ts";
import type { Labels } from "./key.ts";
import type { Notice } from "./notice.ts";

export interface Addressing {
  readonly receiver: string;
  /** Where people see the alerts; empty when nobody said. */
  readonly externalUrl: string;
}

/** The body of a notice, as JSON. */
export function toBody(kind: ReceiverKind, notice: Notice, addressing: Addressing): string {
  switch (kind) {
    case "alertmanager":
      return JSON.stringify(toAlerts(notice, addressing));
    case "slack":
      return JSON.stringify(toSlack(notice));
    case "smtp":
      return JSON.stringify(toMail(notice));
    default:
      return JSON.stringify(toWebhook(notice, addressing));
  }
}

const never = "0001-01-01T00:00:00Z";

function toWebhook({ group, alerts }: Notice, { receiver, externalUrl }: Addressing) {
  const list = [...alerts].map(([fingerprint, alert]) => ({
    status: toStatus(alert),
    labels: alert.labels,
    annotations: toAnnotations(alert),
    startsAt: alert.startsAt ?? alert.since,
    endsAt: alert.endsAt ?? never,
    generatorURL: externalUrl,
    fingerprint,
  }));
  return {
    version: "4",
    groupKey: group.key,
    truncatedAlerts: 0,
    status: list.some((alert) => alert.status === "firing") ? "firing" : "resolved",
    receiver,
    groupLabels: group.labels,
    commonLabels: toCommon(list.map((alert) => alert.labels)),
    commonAnnotations: toCommon(list.map((alert) => alert.annotations)),
    externalURL: externalUrl,
    alerts: list,
  };
}

/** POST /api/v2/alerts. Without an end Alertmanager adds its own, counted from when it gets this. */
function toAlerts({ alerts }: Notice, { externalUrl }: Addressing) {
  return [...alerts.values()].map((alert) => ({
    labels: alert.labels,
    annotations: toAnnotations(alert),
    startsAt: alert.startsAt ?? alert.since,
    ...(alert.endsAt === null ? {} : { endsAt: alert.endsAt }),
    ...(externalUrl === "" ? {} : { generatorURL: externalUrl }),
  }));
}

function toSlack(notice: Notice) {
  return {
    text: toTitle(notice),
    attachments: [...notice.alerts.values()].map((alert) => ({
      color:
        alert.state === "firing" ? (alert.labels.severity === "critical" ? "danger" : "warning") : "good",
      title: `${toStatus(alert)}: ${alert.name}`,
      text: toLines(alert).join("\n"),
      fallback: `${toStatus(alert)}: ${alert.name}`,
    })),
  };
}

/** What the mail sender makes a message of. */
export interface Mail {
  readonly subject: string;
  readonly text: string;
}

function toMail(notice: Notice): Mail {
  const parts = [...notice.alerts.values()].map((alert) =>
    [`${toStatus(alert)}: ${alert.name}`, ...toLines(alert)].join("\n  "),
  );
  return { subject: toTitle(notice).replace(/[\r\n]+/g, " "), text: `${parts.join("\n\n")}\n` };
}

function toTitle({ alerts }: Notice): string {
  const list = [...alerts.values()];
  const firing = list.filter((alert) => alert.state === "firing").length;
  const names = [...new Set(list.map((alert) => alert.name))].join(", ");
  return `[${firing > 0 ? `firing: ${firing}` : "resolved"}] ${names}`;
}

function toLines(alert: AlertRecord): string[] {
  const labels = Object.entries(alert.labels).filter(([name]) => name !== "alertname");
  const lines = [
    ...Object.values(toAnnotations(alert)),
    labels.map(([name, value]) => `${name}=${value}`).join(" "),
  ];
  return [...lines, `since ${alert.startsAt ?? alert.since}`].filter((line) => line !== "");
}

function toAnnotations(alert: AlertRecord): Labels {
  const { value, threshold } = alert;
  const measured =
    value === null ? {} : { value: `${value}${threshold === null ? "" : ` (threshold ${threshold})`}` };
  return { ...alert.annotations, ...measured };
}

const toStatus = (alert: AlertRecord) => (alert.state === "firing" ? "firing" : "resolved");

function toCommon(all: readonly Labels[]): Labels {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((one) => one[name] === value)),
  );
}
