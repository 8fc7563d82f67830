/** Changes that take effect without a rollout: scale, maintenance, domains. Pure. */
import { NinesError } from "../std/errors.ts";
import { nearest } from "../std/nearest.ts";
import { type Formation, paths } from "../wire/records.ts";
import { describeFormation, nextFormation } from "./formation.ts";
import { parseHost } from "./host.ts";
import type { Asking, Plan } from "./plan.ts";
import { readApp, readDomains, readRelease, revisionOf, setSeen, type View, type Write } from "./view.ts";

const domainsMax = 50;

export function planScale(view: View, asking: Asking, changes: readonly string[]): Plan<Formation> {
  const known = readApp(view, asking.app);
  const release = known.current && readRelease(view, asking.app, known.current.release);
  const types = release === undefined ? undefined : Object.keys(release.processes);
  const formation = nextFormation(known.formation ?? {}, changes, types);
  return {
    writes: [setSeen(view, paths.formation(asking.app), formation)],
    reply: formation,
    say: `Scale to ${describeFormation(formation)} by ${asking.by}`,
  };
}

export function planMaintenance(view: View, asking: Asking, on: boolean): Plan<void> {
  const known = readApp(view, asking.app);
  if (known.maintenance === on) return { writes: [], reply: undefined, say: "" };
  return {
    writes: [setSeen(view, paths.maintenance(asking.app), { on })],
    reply: undefined,
    say: `Maintenance mode turned ${on ? "on" : "off"} by ${asking.by}`,
  };
}

export function planDomainAdd(view: View, asking: Asking, text: string): Plan<void> {
  const known = readApp(view, asking.app);
  const host = parseHost(text);
  if (!known.domains.includes(host) && known.domains.length >= domainsMax) {
    throw new NinesError("too_large", `${asking.app} has ${domainsMax} domains, its limit`);
  }
  const writes = addDomain(view, asking.app, host);
  return { writes, reply: undefined, say: writes.length === 0 ? "" : `Add domain ${host} by ${asking.by}` };
}

export function planDomainRemove(view: View, asking: Asking, text: string): Plan<void> {
  const known = readApp(view, asking.app);
  const host = text.trim().toLowerCase().replace(/\.$/, "");
  if (!known.domains.includes(host)) {
    const close = nearest(host, known.domains);
    throw new NinesError("not_found", `${asking.app} has no domain "${host}"`, {
      ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
    });
  }
  return {
    writes: [{ kind: "remove", path: paths.domain(host), ifRevision: revisionOf(view, paths.domain(host)) }],
    reply: undefined,
    say: `Remove domain ${host} by ${asking.by}`,
  };
}

/** The write that gives a domain to an app; none when it has it. Throws `conflict` when another has it. */
export function addDomain(view: View, app: string, host: string): readonly Write[] {
  const owner = readDomains(view).find((domain) => domain.host === host)?.app;
  if (owner === app) return [];
  if (owner !== undefined) throw new NinesError("conflict", `the domain ${host} belongs to the app ${owner}`);
  return [{ kind: "set", path: paths.domain(host), value: { app }, ifRevision: 0 }];
}
