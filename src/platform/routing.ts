/** From the registry's records to what the mesh routes by; pure. */
import type { MeshApp, MeshStages } from "../mesh/mesh.ts";
import type { Audience } from "../wire/audience.ts";
import {
  parseCurrent,
  parseFormation,
  parseRollout,
  paths,
  type Rollout,
  type Routing,
} from "../wire/records.ts";
import { previewCookie } from "../wire/stages.ts";

/** What is read of a replica. */
export interface Records {
  get(path: string): { readonly value: unknown } | undefined;
  list(prefix: string): Iterable<{ readonly path: string; readonly value: unknown }>;
}

export type Hosts = ReadonlyMap<string, readonly string[]>;

/** The domains of each app. */
export function toHosts(records: Records): Hosts {
  const hosts = new Map<string, string[]>();
  for (const { path, value } of records.list("/domains/")) {
    const app = (value as { app?: unknown } | null)?.app;
    if (typeof app !== "string") continue;
    const list = hosts.get(app);
    const host = path.slice("/domains/".length);
    if (list === undefined) hosts.set(app, [host]);
    else list.push(host);
  }
  return hosts;
}

/** Undefined when there is no such app; throws `invalid` when its records cannot be read. */
export function toMeshApp(
  records: Records,
  name: string,
  hosts: Hosts,
  isRecalled: (rollout: string) => boolean = () => false,
): MeshApp | undefined {
  if (records.get(paths.app(name)) === undefined) return undefined;
  const current = records.get(paths.current(name))?.value;
  const formation = records.get(paths.formation(name))?.value;
  const maintenance = records.get(paths.maintenance(name))?.value as { on?: unknown } | undefined | null;
  return {
    name,
    ...(current == null ? {} : { current: parseCurrent(current) }),
    hosts: hosts.get(name) ?? [],
    maintenance: maintenance?.on === true,
    routing: (records.get(paths.routing(name))?.value ?? {}) as Routing,
    formationWeb: formation == null ? 0 : (parseFormation(formation).web ?? 0),
    hasRelease: current != null,
    ...toStages(records, name, isRecalled),
  };
}

/** Who gets the release that is on its way. A rollout that is over, or unreadable, changes nothing for anybody. */
function toStages(
  records: Records,
  name: string,
  isRecalled: (rollout: string) => boolean,
): { readonly stages?: MeshStages } {
  const value = records.get(paths.rollout(name))?.value as Partial<Rollout> | undefined | null;
  if (value?.staging == null || value.state === "done" || value.state === "failed") return {};
  const { id, state, target, staging } = parseRollout(value);
  // Once it is switched to, or led back, it is like any other.
  const isOpen = state === "staging" || state === "baking" || state === "paused" || state === "starting";
  if (!isOpen || staging === undefined || staging.open === 0 || isRecalled(id)) return {};
  const { sticky, stages } = staging.plan;
  const open = stages.slice(0, staging.open).map((stage, index) => ({
    name: stage.name,
    audience: index === 0 ? withPreview(stage.audience, id) : stage.audience,
  }));
  return { stages: { rollout: id, target, ...(sticky === undefined ? {} : { sticky }), open } };
}

/** Whoever knows the rollout's id may look at it before everybody else. */
function withPreview(audience: Audience, id: string): Audience {
  return { ...audience, cookies: { ...audience.cookies, [previewCookie]: [id] } };
}

/** The app that a path belongs to; undefined for paths outside /apps. */
export function appOf(path: string): string | undefined {
  const [, root, name] = path.split("/");
  return root === "apps" ? name : undefined;
}

/** Every app that the records name. */
export function listApps(records: Records): string[] {
  const names = new Set<string>();
  for (const { path } of records.list("/apps/")) names.add(appOf(path) ?? "");
  return [...names];
}
