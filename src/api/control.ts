/** What the API needs of whoever it speaks for. Every method throws NinesErrors, which become the replies. */
import type {
  Aged,
  AppReply,
  AppsReply,
  ConfigReply,
  DomainsReply,
  FormationReply,
  InstancesReply,
  JobReply,
  ReleaseReply,
  ReleasesReply,
  RolloutEvent,
  RolloutReply,
  SharesReply,
  StatusReply,
} from "../wire/api.ts";
import type { LetterChange, LetterReply, TargetChange, TargetReply, WriteReply } from "../wire/buffer.ts";
import type { Explanation, FlagChange, FlagReply, FlagsReply, GatedWish } from "../wire/flags.ts";
import type { MetricRange, MetricsReply } from "../wire/metrics.ts";
import type { Rollout } from "../wire/records.ts";
import type { Role, TokenMade, TokenReply } from "../wire/tokens.ts";
import type { ValveChange, ValveChangeReply, ValveReply } from "../wire/valve-api.ts";
import type { AlertsControl, AssertsControl } from "./alert-ports.ts";
import type { AppControl } from "./app-control.ts";

/** Who asks for a change. */
export interface Caller {
  readonly by: string;
  /** Of the rollout to come; the same one asks for the same change again. */
  readonly rolloutId: string;
  /** ETag of what the caller has seen: the change fails with `conflict` when it is another one now. */
  readonly ifMatch?: string;
}

export interface LogQuery {
  /** Lines to begin with. */
  readonly lines: number;
  readonly source?: "app" | "nines" | "router";
  /** `web` or `web.1`. */
  readonly process?: string;
  readonly tail: boolean;
}

export interface Attachment {
  readonly command: string;
  readonly tty: boolean;
  readonly columns: number;
  readonly rows: number;
  readonly term: string;
}

export interface DeploySource {
  readonly sha256: string;
  readonly description: string;
  /** Names of the stages to go through; none is one step; undefined leaves it to the app and the platform. */
  readonly stages?: readonly string[];
  /** The stage to stop after. */
  readonly until?: string;
}

export interface UploadBody {
  readonly sha256: string;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Content-Length, when the client said. */
  readonly bytes: number | undefined;
}

export type MaintenanceReply = Aged & { readonly on: boolean };

/** A write that comes over HTTP. */
export interface BufferWrite {
  readonly body: Uint8Array;
  readonly key?: string;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BufferControl {
  targets(): Promise<readonly TargetReply[]>;
  /** Makes the target when it is not there. */
  set(caller: Caller, target: string, change: TargetChange): Promise<void>;
  remove(caller: Caller, target: string): Promise<void>;
  retry(target: string): Promise<void>;
  write(target: string, write: BufferWrite): Promise<WriteReply>;
  dead(
    target: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly LetterReply[]>;
  edit(target: string, id: number, change: LetterChange): Promise<void>;
  replay(target: string, ids: readonly number[] | undefined): Promise<number>;
  drop(target: string, ids: readonly number[] | undefined): Promise<number>;
}

/** How a flag is to grow; wire/flags.ts says to which steps. */
export interface FlagGrowth {
  readonly why: string;
  readonly to: string;
  readonly variant?: string;
  readonly shrink: boolean;
  readonly replace: boolean;
  readonly revive: boolean;
  /** Step by step while asserts hold; at once, without it. */
  readonly gated?: GatedWish;
}

export interface FlagControl {
  list(): Promise<FlagsReply>;
  get(key: string): Promise<FlagReply>;
  set(
    caller: Caller,
    key: string,
    change: { readonly definition?: unknown; readonly why: string; readonly lax: boolean },
  ): Promise<FlagReply>;
  import(
    caller: Caller,
    change: { readonly document?: unknown; readonly why: string; readonly lax: boolean },
  ): Promise<{ readonly count: number; readonly warnings: readonly string[] }>;
  setEvaluator(
    caller: Caller,
    name: string,
    change: { readonly rule?: unknown; readonly lax: boolean },
  ): Promise<{ readonly warnings: readonly string[] }>;
  grow(caller: Caller, key: string, growth: FlagGrowth): Promise<FlagReply>;
  turn(
    caller: Caller,
    key: string,
    on: boolean,
    change: { readonly why: string; readonly variant?: string },
  ): Promise<FlagReply>;
  kill(caller: Caller, key: string, why: string): Promise<FlagReply>;
  remove(caller: Caller, key: string, how: { readonly force: boolean; readonly why: string }): Promise<void>;
  history(key: string): Promise<readonly FlagChange[]>;
  explain(key: string, context: Readonly<Record<string, unknown>>): Promise<Explanation>;
  /** Whatever is below /ofrep, with credentials of its own. */
  ofrep(request: Request, admit: (app: string) => boolean): Promise<Response>;
  /** What the processes of an app have evaluated by themselves, by key. */
  asked(
    app: string,
    counts: Readonly<Record<string, number>>,
    variants: Readonly<Record<string, Readonly<Record<string, number>>>>,
  ): void;
}
export interface TokenControl {
  list(): Promise<readonly TokenReply[]>;
  /** The token itself is in this answer alone. */
  add(caller: Caller, name: string, role: Role): Promise<TokenMade>;
  revoke(caller: Caller, name: string): Promise<void>;
}

export interface ValveControl {
  list(): Promise<readonly ValveReply[]>;
  set(caller: Caller, name: string, change: ValveChange): Promise<ValveChangeReply>;
  reset(caller: Caller, name: string, waitMs: number): Promise<ValveChangeReply>;
}

/** What kind of request it is, for whoever may refuse it in time. */
export type RequestKind = "read" | "write" | "deploy" | "valve";

/** Reads of measurements; from memory, so with the database away too. */
export interface MetricsControl {
  query(query: {
    /** `http.requests{app="shop"}` each. */
    readonly selectors: readonly string[];
    readonly windowMs: number;
    /** ms since 1970; now, without it. */
    readonly at?: number | undefined;
  }): Promise<MetricsReply>;
  range(query: {
    readonly selector: string;
    readonly from: number;
    readonly to: number;
    readonly stepMs: number;
  }): Promise<MetricRange>;
  /** All of it for Prometheus, in the format that an Accept header asks for. */
  exposition(accept: string | null): { readonly type: string; readonly text: string };
}

export interface Control {
  readonly id: string;
  readonly metrics: MetricsControl;
  readonly buffer: BufferControl;
  readonly asserts: AssertsControl;
  readonly alerts: AlertsControl;
  readonly forApps: AppControl;
  readonly flags: FlagControl;
  readonly valves: ValveControl;
  readonly tokens: TokenControl;
  /** Throws `overloaded` when a request of this kind may not be taken now. */
  admit(kind: RequestKind): void;
  status(): Promise<StatusReply>;

  apps(): Promise<AppsReply>;
  app(app: string): Promise<AppReply & Aged>;
  createApp(caller: Caller, app: string): Promise<AppReply>;
  deleteApp(caller: Caller, app: string): Promise<void>;

  formation(app: string): Promise<FormationReply>;
  scale(caller: Caller, app: string, changes: readonly string[]): Promise<FormationReply>;
  config(app: string): Promise<ConfigReply>;
  setConfig(
    caller: Caller,
    app: string,
    changes: Readonly<Record<string, string | null>>,
  ): Promise<Rollout | null>;
  domains(app: string): Promise<DomainsReply>;
  addDomain(caller: Caller, app: string, host: string): Promise<DomainsReply>;
  removeDomain(caller: Caller, app: string, host: string): Promise<DomainsReply>;
  shares(app: string): Promise<SharesReply>;
  /** The guest may use the app's topic. */
  share(caller: Caller, app: string, topic: string, guest: string): Promise<SharesReply>;
  unshare(caller: Caller, app: string, topic: string, guest: string): Promise<SharesReply>;
  maintenance(app: string): Promise<MaintenanceReply>;
  setMaintenance(caller: Caller, app: string, on: boolean): Promise<MaintenanceReply>;

  hasUpload(sha256: string): Promise<boolean>;
  /** Stores an archive whole and verified, or not at all. */
  upload(upload: UploadBody): Promise<void>;
  deploy(caller: Caller, app: string, source: DeploySource): Promise<Rollout>;
  promote(caller: Caller, app: string, promotion: { to?: string; now: boolean }): Promise<Rollout>;
  pause(caller: Caller, app: string): Promise<Rollout>;
  resume(caller: Caller, app: string): Promise<Rollout>;
  rollback(caller: Caller, app: string, to: number | undefined): Promise<Rollout>;
  /** All of the app as a rollout; one process type or instance at once, without one. */
  restart(caller: Caller, app: string, process: string | undefined): Promise<Rollout | null>;
  rollout(app: string): Promise<RolloutReply>;
  /** Ends after done or failed. */
  follow(
    app: string,
    from: { readonly rollout: string | undefined; readonly cursor: string | undefined },
    signal: AbortSignal,
  ): Promise<AsyncIterable<RolloutEvent>>;
  releases(app: string): Promise<ReleasesReply>;
  release(app: string, version: number): Promise<ReleaseReply>;

  instances(app: string | undefined): Promise<InstancesReply>;
  /** Whole lines; an empty one now and then keeps a quiet tail alive. */
  logs(app: string, query: LogQuery, signal: AbortSignal): Promise<AsyncIterable<string>>;

  run(caller: Caller, app: string, command: string): Promise<JobReply>;
  job(id: string): Promise<JobReply>;
  jobOutput(id: string): Promise<AsyncIterable<Uint8Array>>;
  /** URL of a WebSocket that runs the command, and speaks as wire/api.ts says. */
  attach(caller: Caller, app: string, attachment: Attachment): Promise<RunSocket>;
}

/** The far side of an attached run. */
export interface RunSocket {
  onFrame(callback: (frame: Uint8Array) => void): void;
  onEnd(callback: (reason: string) => void): void;
  /** False when the far side does not keep up and the sender must wait. */
  send(frame: Uint8Array): void;
  readonly bufferedBytes: number;
  close(): void;
}
