/** What the platform says in the environment; pure. */
import { NinesError } from "../std/errors.ts";

export interface Platform {
  readonly kind: "platform";
  readonly app: string;
  /** `web.1`. */
  readonly process: string;
  /** Number of the release that this process belongs to. */
  readonly release: string | undefined;
  readonly brokers: readonly { readonly id: string; readonly host: string; readonly port: number }[];
  readonly secret: string;
  /** Base URLs of the controllers: `http://127.0.0.1:7701`. */
  readonly controllers: readonly string[];
  /** The app's credential for them. */
  readonly token: string;
  /** A folder of the app's own that outlives its instances. */
  readonly spool: string | undefined;
}

export type Surroundings = Platform | { readonly kind: "local"; readonly app: string };

export type Env = Readonly<Record<string, string | undefined>>;

export function readSurroundings(env: Env): Surroundings {
  const app = env.NINES_APP || "local";
  if (!env.NINES_BUS_BROKERS) return { kind: "local", app };
  const need = (name: string): string => {
    const value = env[name];
    if (value) return value;
    throw new NinesError("invalid", `NINES_BUS_BROKERS is set, ${name} is not`, {
      hint: "the platform sets all of them, or, on a laptop, none is set",
    });
  };
  const brokers = env.NINES_BUS_BROKERS.split(",").map((text) => {
    const [, id, host, port] = /^([^=]+)=(.+):(\d{1,5})$/.exec(text) ?? [];
    if (id === undefined || host === undefined) {
      throw new NinesError("invalid", `NINES_BUS_BROKERS: "${text.slice(0, 80)}" is not ID=HOST:PORT`);
    }
    return { id, host, port: Number(port) };
  });
  const controllers = need("NINES_API").split(",");
  for (const address of controllers) {
    if (/^https?:\/\//.test(address) && URL.canParse(address)) continue;
    throw new NinesError("invalid", `NINES_API: "${address.slice(0, 80)}" is not the URL of a controller`);
  }
  return {
    kind: "platform",
    app,
    process: env.NINES_PROCESS || "process",
    release: env.NINES_RELEASE?.replace(/^v/, "") || undefined,
    brokers,
    secret: need("NINES_BUS_SECRET"),
    controllers: controllers.map((address) => address.replace(/\/$/, "")),
    token: need("NINES_API_TOKEN"),
    spool: env.NINES_SPOOL || undefined,
  };
}

/** A topic's name on the bus. */
export function toTopic(own: string, topic: string, app: string = own): string {
  return `${app}.${topic}`;
}

/** On another app's topic a channel carries the name of the app that reads there. */
export function toChannel(own: string, channel: string, app: string = own): string {
  return app === own || channel === "broadcast" ? channel : `${own}.${channel}`;
}
