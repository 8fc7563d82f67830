/**
 * What the platform is told at its start: read once, from the environment, into one frozen object; or
 * refused, with every problem listed. Importing this module does nothing.
 */
import { isIP } from "node:net";
import { homedir } from "node:os";
import { isAbsolute, resolve } from "node:path";
import { NinesError } from "../std/errors.ts";

export interface Config {
  /** NINES_HOME, default ~/.nines: all state of the platform. */
  readonly home: string;
  /** NINES_HOST, default 127.0.0.1: where routers and API listen. */
  readonly host: string;
  /** NINES_PORT, default 8080: the routers. 0 picks a free one and remembers it. */
  readonly port: number;
  /** NINES_TLS_PORT: the routers, with TLS. 0, the default, is none. */
  readonly tlsPort: number;
  /** NINES_PROXY_PROTOCOL_FROM: networks of balancers that begin each connection with the PROXY protocol. */
  readonly proxyProtocolFrom: readonly string[];
  /** NINES_TRUST_FORWARDED_FROM: networks of proxies whose X-Forwarded-Proto and -Port are passed on. */
  readonly trustForwardedFrom: readonly string[];
  /** NINES_API_PORT, default 7700: the controllers. 0 picks a free one and remembers it. */
  readonly apiPort: number;
  /** NINES_BUS_HOST, default 127.0.0.1: where brokers listen. 0.0.0.0 or :: is the network, for which TLS is a must. */
  readonly busHost: string;
  /** NINES_BUS_CERT and NINES_BUS_KEY: files with the brokers' certificate and its key. */
  readonly busTls: { readonly cert: string; readonly key: string } | undefined;
  /** DATABASE_URL replaces the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** NINES_AUDIT_URL: gets every audited change, through the write buffer. */
  readonly auditUrl: string | undefined;
  /** NINES_BROKERS, NINES_CONTROLLERS, NINES_ROUTERS, NINES_RELAYS: how many of each. */
  readonly brokers: number;
  readonly controllers: number;
  readonly routers: number;
  readonly relays: number;
  /** NINES_INSTANCE_PORTS, default 20000-29999: PORT of web instances. Below the kernel's own range. */
  readonly instancePorts: { readonly from: number; readonly to: number };
}

export type Env = Readonly<Record<string, string | undefined>>;

/** Throws `invalid` that lists every problem. */
export function parseConfig(env: Env): Config {
  const problems: string[] = [];
  const whole = (name: string, missing: number, min: number, max: number): number => {
    const text = env[name];
    if (text === undefined || text === "") return missing;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    problems.push(`${name}="${text}" is not a whole number from ${min} to ${max}`);
    return missing;
  };
  const networks = (name: string): readonly string[] => {
    const list = (env[name] ?? "").split(",").map((network) => network.trim());
    return list.filter((network) => {
      if (network === "" || isNetwork(network)) return network !== "";
      problems.push(`${name} names "${network}", which is no network, as 10.0.0.0/8 or fd00::/8`);
      return false;
    });
  };
  const range = /^(\d+)-(\d+)$/.exec(env.NINES_INSTANCE_PORTS ?? "20000-29999");
  const [from, to] = [Number(range?.[1]), Number(range?.[2])];
  if (range === null || from < 1024 || to > 65_535 || to - from < 100) {
    problems.push(
      `NINES_INSTANCE_PORTS="${env.NINES_INSTANCE_PORTS}" is not a range of 100 ports or more, as 20000-29999`,
    );
  }
  const busHost = env.NINES_BUS_HOST || "127.0.0.1";
  const [busCert, busKey] = [env.NINES_BUS_CERT || undefined, env.NINES_BUS_KEY || undefined];
  if (!["127.0.0.1", "0.0.0.0", "::"].includes(busHost)) {
    problems.push(
      `NINES_BUS_HOST="${busHost}" is neither 127.0.0.1 (this machine) nor 0.0.0.0 or :: (the network)`,
    );
  }
  if ((busCert === undefined) !== (busKey === undefined)) {
    problems.push("NINES_BUS_CERT and NINES_BUS_KEY belong together, and one of them is missing");
  } else if (busCert === undefined && busHost !== "127.0.0.1") {
    problems.push(
      `NINES_BUS_HOST="${busHost}" needs NINES_BUS_CERT and NINES_BUS_KEY: messages cross the network`,
    );
  }
  const databaseUrl = env.NINES_DATABASE_URL || env.DATABASE_URL || undefined;
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    problems.push("DATABASE_URL does not start with postgres:// (unset it to use the embedded server)");
  }
  const auditUrl = env.NINES_AUDIT_URL || undefined;
  if (auditUrl !== undefined && !(/^https?:\/\//.test(auditUrl) && URL.canParse(auditUrl))) {
    problems.push("NINES_AUDIT_URL is no URL, as https://host/path");
  }
  const home = env.NINES_HOME || `${env.HOME || homedir()}/.nines`;
  if (!isAbsolute(resolve(home))) problems.push(`NINES_HOME="${home}" is not a path`);
  const config: Config = {
    home: resolve(home),
    host: env.NINES_HOST || "127.0.0.1",
    port: whole("NINES_PORT", 8080, 0, 65_535),
    tlsPort: whole("NINES_TLS_PORT", 0, 0, 65_535),
    proxyProtocolFrom: networks("NINES_PROXY_PROTOCOL_FROM"),
    trustForwardedFrom: networks("NINES_TRUST_FORWARDED_FROM"),
    apiPort: whole("NINES_API_PORT", 7700, 0, 65_535),
    busHost,
    busTls:
      busCert === undefined || busKey === undefined
        ? undefined
        : { cert: resolve(busCert), key: resolve(busKey) },
    databaseUrl,
    auditUrl,
    brokers: whole("NINES_BROKERS", 3, 1, 9),
    controllers: whole("NINES_CONTROLLERS", 2, 1, 9),
    routers: whole("NINES_ROUTERS", 2, 1, 16),
    relays: whole("NINES_RELAYS", 2, 0, 9),
    instancePorts: { from, to },
  };
  if (problems.length > 0) {
    throw new NinesError(
      "invalid",
      `the environment has ${problems.length} problem(s):\n  ${problems.join("\n  ")}`,
    );
  }
  return Object.freeze(config);
}

/** An address, and maybe how many of its bits count. */
function isNetwork(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

/** The environment that gives a part this very config; the rest of ours is not handed down. */
export function toEnv(config: Config, env: Env): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "NODE_EXTRA_CA_CERTS"];
  const npm = Object.keys(env).filter((name) =>
    /^(npm_config_|NPM_CONFIG_|PIP_|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)/.test(name),
  );
  return {
    ...Object.fromEntries([...kept, ...npm].flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    NINES_HOME: config.home,
    NINES_HOST: config.host,
    NINES_PORT: String(config.port),
    NINES_TLS_PORT: String(config.tlsPort),
    NINES_PROXY_PROTOCOL_FROM: config.proxyProtocolFrom.join(","),
    NINES_TRUST_FORWARDED_FROM: config.trustForwardedFrom.join(","),
    NINES_API_PORT: String(config.apiPort),
    NINES_BUS_HOST: config.busHost,
    ...(config.busTls === undefined
      ? {}
      : { NINES_BUS_CERT: config.busTls.cert, NINES_BUS_KEY: config.busTls.key }),
    NINES_BROKERS: String(config.brokers),
    NINES_CONTROLLERS: String(config.controllers),
    NINES_ROUTERS: String(config.routers),
    NINES_RELAYS: String(config.relays),
    NINES_INSTANCE_PORTS: `${config.instancePorts.from}-${config.instancePorts.to}`,
    ...(config.databaseUrl === undefined ? {} : { DATABASE_URL: config.databaseUrl }),
    ...(config.auditUrl === undefined ? {} : { NINES_AUDIT_URL: config.auditUrl }),
  };
}
