/** The shapes of wire/api.ts as schemas: they check what comes in and describe what goes out. */
import { z } from "@hono/zod-openapi";
import type {
  AppReply,
  AppsReply,
  ChangeReply,
  ConfigReply,
  DomainsReply,
  ErrorReply,
  FormationReply,
  InstancesReply,
  JobReply,
  ReleaseReply,
  ReleasesReply,
  RolloutReply,
  SharesReply,
  StatusReply,
} from "../wire/api.ts";
import { type Instance, instanceStates } from "../wire/messages.ts";
import { type Rollout, rolloutStates } from "../wire/records.ts";
import type { Staging, Transition } from "../wire/stages.ts";

const staleMs = z.number().openapi({ description: "How old the answer is; 0 while the database answers." });
const formation = z.record(z.string(), z.number().int()).openapi({ example: { web: 2, worker: 1 } });
const current = z.object({ release: z.number().int(), generation: z.number().int() });

export const errorReply: z.ZodType<ErrorReply> = z
  .object({
    code: z.string(),
    message: z.string(),
    hint: z.string().exactOptional(),
  })
  .openapi("Error");

export const statusReply: z.ZodType<StatusReply> = z
  .object({ staleMs, controller: z.string(), leader: z.string().nullable(), revision: z.number().int() })
  .openapi("Status");

const app = z.object({
  name: z.string(),
  createdAt: z.string(),
  formation,
  release: z.number().int().nullable(),
  maintenance: z.boolean(),
  domains: z.array(z.string()),
});
export const appReply: z.ZodType<AppReply> = app.openapi("App");
export const appsReply: z.ZodType<AppsReply> = z.object({ staleMs, apps: z.array(app) }).openapi("Apps");
export const formationReply: z.ZodType<FormationReply> = z
  .object({ staleMs, formation })
  .openapi("Formation");
export const configReply: z.ZodType<ConfigReply> = z
  .object({ staleMs, config: z.record(z.string(), z.string()) })
  .openapi("Config");
export const domainsReply: z.ZodType<DomainsReply> = z
  .object({ staleMs, domains: z.array(z.string()) })
  .openapi("Domains");
export const sharesReply: z.ZodType<SharesReply> = z
  .object({ staleMs, shares: z.array(z.object({ topic: z.string(), with: z.array(z.string()) })) })
  .openapi("Shares");
export const maintenanceReply = z.object({ staleMs, on: z.boolean() }).openapi("Maintenance");

const rollout: z.ZodType<Rollout> = z
  .object({
    id: z.string(),
    app: z.string(),
    kind: z.enum(["deploy", "config", "rollback", "restart"]),
    state: z.enum(rolloutStates),
    target: current,
    baseline: current.exactOptional(),
    switchedAt: z.number().int().exactOptional(),
    startedAt: z.string(),
    changedAt: z.string(),
    reason: z.string().exactOptional(),
    by: z.string(),
    staging: z
      .custom<Staging>((value) => typeof value === "object")
      .openapi({ type: "object", description: "Where it is among its stages." })
      .exactOptional(),
  })
  .openapi("Rollout");
export const changeReply: z.ZodType<ChangeReply> = z
  .object({ rollout: rollout.nullable() })
  .openapi("Change");
export const rolloutReply: z.ZodType<RolloutReply> = z
  .object({ staleMs, rollout: rollout.nullable() })
  .openapi("RolloutReply");

const measured = z.object({
  claim: z.string(),
  value: z.number(),
  threshold: z.number().exactOptional(),
  windowMs: z.number().exactOptional(),
  samples: z.number().exactOptional(),
  baseline: z.number().exactOptional(),
});
const transition: z.ZodType<Transition> = z.object({
  at: z.string(),
  from: z.string(),
  to: z.string(),
  why: z.string(),
  by: z.string(),
  measured: measured.exactOptional(),
});

const release = z.object({
  version: z.number().int(),
  description: z.string(),
  createdAt: z.string(),
  by: z.string(),
  state: z.enum(["pending", "current", "former", "failed"]),
  reason: z.string().exactOptional(),
  transitions: z.array(transition),
});
export const releaseReply: z.ZodType<ReleaseReply> = release.openapi("Release");
export const releasesReply: z.ZodType<ReleasesReply> = z
  .object({ staleMs, releases: z.array(release) })
  .openapi("Releases");

const instance: z.ZodType<Instance> = z
  .object({
    id: z.string(),
    app: z.string(),
    name: z.string(),
    type: z.string(),
    release: z.number().int(),
    generation: z.number().int(),
    host: z.string(),
    port: z.number().int(),
    pid: z.number().int(),
    state: z.enum(instanceStates),
    since: z.number(),
    attempts: z.number().int(),
    nextTryAt: z.number(),
    reason: z.string(),
  })
  .openapi("Instance");
export const instancesReply: z.ZodType<InstancesReply> = z
  .object({ staleMs, instances: z.array(instance) })
  .openapi("Instances");

export const jobReply: z.ZodType<JobReply> = z
  .object({
    id: z.string(),
    state: z.enum(["pending", "running", "exited", "failed"]),
    exit: z.number().int(),
    reason: z.string(),
  })
  .openapi("Job");

export const createBody = z.strictObject({ name: z.string() });
export const scaleBody = z.strictObject({
  changes: z
    .array(z.string().max(60))
    .min(1)
    .max(50)
    .openapi({ example: ["web=3", "worker+1"] }),
});
export const configBody = z.strictObject({
  config: z
    .record(z.string(), z.string().nullable())
    .openapi({ example: { COLOUR: "green", OLD: null }, description: "null removes a variable." }),
});
export const rollbackBody = z.strictObject({ to: z.number().int().positive().optional() });
export const promoteBody = z.strictObject({
  to: z.string().max(40).optional(),
  now: z.boolean().default(false),
});
export const deployQuery = z.object({
  stages: z.string().max(400).optional().openapi({ example: "internal,beta,all" }),
  until: z.string().max(40).optional(),
});
export const restartBody = z.strictObject({
  process: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*(\.\d+)?$/, "expected a process type or an instance, as web or web.1")
    .optional(),
});
export const maintenanceBody = z.strictObject({ on: z.boolean() });
export const runBody = z.strictObject({ command: z.string().min(1).max(10_000) });

export const logsQuery = z.object({
  n: z.coerce.number().int().min(0).max(1_500).default(100),
  source: z.enum(["app", "nines", "router"]).optional(),
  ps: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*(\.\d+)?$/, "expected a process type or an instance, as web or web.1")
    .optional(),
  tail: z.enum(["0", "1"]).default("0"),
});
export const followQuery = z.object({
  rollout: z.string().max(100).optional(),
  from: z.string().max(400).optional(),
});
export const runQuery = z.object({
  command: z.string().min(1).max(10_000),
  tty: z.enum(["0", "1"]).default("0"),
  columns: z.coerce.number().int().min(1).max(1_000).default(80),
  rows: z.coerce.number().int().min(1).max(1_000).default(24),
  term: z.string().max(60).default("xterm"),
});
