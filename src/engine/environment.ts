/** The environment of an app's processes: the release's config, what Nines tells them, nothing of ours. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "./desired.ts";

export type Offers = (app: string) => Readonly<Record<string, string>>;

/** Of the platform's own environment only this is handed down. */
export interface Surroundings {
  readonly path: string;
  readonly lang: string;
  /** What marks the processes of this home. */
  readonly agent: string;
  /** What the platform offers to an app: where it is, and with which secret. */
  readonly offers: Offers;
}

export function toInstanceEnv(
  place: Place,
  around: Surroundings,
  run: { readonly id: string; readonly directory: string; readonly port: number; readonly spool: string },
): Record<string, string> {
  return {
    ...toBaseEnv(around, run.directory),
    ...toOffered(around, place.app),
    ...place.config,
    ...(run.port === 0 ? {} : { PORT: String(run.port) }),
    ...toMarkers(around, place.app),
    NINES_PROCESS: place.name,
    DYNO: place.name,
    NINES_RELEASE: `v${place.release}`,
    NINES_GENERATION: String(place.generation),
    NINES_STAGE: place.stage ?? "all",
    NINES_INSTANCE_ID: run.id,
    NINES_SPOOL: run.spool,
  };
}

/** For jobs; `name` is `release.1` or `run.4821`. */
export function toJobEnv(
  job: {
    readonly id: string;
    readonly app: string;
    readonly name: string;
    readonly release: number | undefined;
  },
  around: Surroundings,
  directory: string,
  config: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...toBaseEnv(around, directory),
    ...toOffered(around, job.app),
    ...config,
    ...toMarkers(around, job.app),
    NINES_PROCESS: job.name,
    DYNO: job.name,
    ...(job.release === undefined ? {} : { NINES_RELEASE: `v${job.release}` }),
    NINES_JOB_ID: job.id,
  };
}

function toMarkers(around: Surroundings, app: string): Record<string, string> {
  const own = Object.entries(around.offers(app)).filter(([name]) => name.startsWith("NINES_"));
  return { ...Object.fromEntries(own), NINES_APP: app, NINES_AGENT: around.agent };
}

/** What goes by names that are not ours alone may be set otherwise by the app. */
function toOffered(around: Surroundings, app: string): Record<string, string> {
  const others = Object.entries(around.offers(app)).filter(([name]) => !name.startsWith("NINES_"));
  return Object.fromEntries(others);
}

function toBaseEnv(around: Surroundings, directory: string): Record<string, string> {
  const own = ["node_modules/.bin", ".venv/bin"].map((bin) => join(directory, bin));
  return { PATH: [...own, around.path].join(":"), LANG: around.lang, HOME: directory };
}

/** `env` is the agent's own. Apps with users of their own get no folder in PATH that they cannot enter. */
export function toSurroundings(
  env: Readonly<Record<string, string | undefined>>,
  agent: string,
  root: boolean,
  offers: Offers = () => ({}),
): Surroundings {
  const standard = ["/usr/local/bin", "/usr/bin", "/bin"];
  const folders = [...(env.PATH ?? "").split(":").filter((folder) => folder.startsWith("/")), ...standard];
  return {
    path: [...new Set(folders)].filter((folder) => !root || isOpen(folder)).join(":"),
    lang: env.LANG || "C.UTF-8",
    agent,
    offers,
  };
}

/** Whether everybody may enter the folder and all above it. */
function isOpen(folder: string): boolean {
  try {
    const parts = folder.split("/");
    return parts.every((_, index) => (statSync(parts.slice(0, index + 1).join("/") || "/").mode & 1) === 1);
  } catch {
    return false;
  }
}

/** What installers need to reach their registries; a build gets it, an app does not. */
export function toBuildEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const wanted =
    /^(PIP_.+|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|(https?|no)_proxy|(HTTPS?|NO)_PROXY|npm_config_(registry|\/\/.+|@.+:registry|https?_proxy|https-proxy|proxy|noproxy|ca|cafile|strict_ssl|fetch_.+))$/i;
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value && wanted.test(name) ? [[name, value]] : [])),
  );
}
