/** The peers: how each is set up as in production, on one core, and what its version is. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { NinesRouterOptions } from "./nines-router.ts";

/** What a proxy stands in front of, and where it may write. */
export interface Place {
  readonly folder: string;
  /** Port of the responder. */
  readonly target: number;
  /** Serves TLS as well: its port, and PEM files; `both` has the two behind each other. */
  readonly tls?: {
    readonly port: number;
    readonly cert: string;
    readonly key: string;
    readonly both: string;
  };
  /** Apps in our route table. */
  readonly apps?: number;
  /** Instances of each in it, all of them the responder. */
  readonly instances?: number;
}

export interface Prepared {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly port: number | "printed";
}

export interface Peer {
  readonly name: string;
  /** The Debian package it comes from; none when it is part of the project. */
  readonly apt?: string;
  readonly program?: string;
  version(): string;
  prepare(at: Place): Promise<Prepared>;
}

/** Debian packages that the bench needs and that are not here; no peer is left out in silence. */
export function missingPackages(): string[] {
  const needed = [...peers, { apt: "wrk", program: "wrk" }, { apt: "util-linux", program: "taskset" }];
  return needed.flatMap((one) =>
    one.apt && one.program && !Bun.which(one.program, { PATH: path }) ? [one.apt] : [],
  );
}

const path = `${process.env.PATH}:/usr/sbin:/sbin`;

const nginx: Peer = {
  name: "nginx",
  apt: "nginx-light",
  program: "nginx",
  version: () => read(["nginx", "-v"], /nginx\/(\S+)/),
  async prepare({ folder, target, tls }) {
    const port = await freePort();
    const file = join(folder, "nginx.conf");
    const secure =
      tls === undefined
        ? ""
        : `listen 127.0.0.1:${tls.port} ssl; ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};
    ssl_session_cache shared:tls:1m;`;
    writeFileSync(
      file,
      `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.error.log;
worker_processes 1; worker_rlimit_nofile 40000;
events { worker_connections 30000; }
http {
  log_format full '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent $request_time $request_id';
  access_log ${folder}/nginx.access.log full buffer=64k flush=1s;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/nginx.body; proxy_temp_path ${folder}/nginx.proxy;
  fastcgi_temp_path ${folder}/nginx.fcgi; uwsgi_temp_path ${folder}/nginx.uwsgi; scgi_temp_path ${folder}/nginx.scgi;
  upstream app { server 127.0.0.1:${target}; keepalive 1024; keepalive_requests 1000000000; }
  map $http_upgrade $upgrading { default upgrade; "" ""; }
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${secure}
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrading;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id;
      add_header X-Request-Id $request_id;
    }
  }
}
`,
    );
    return { command: ["nginx", "-c", file], env: { PATH: path }, port };
  },
};

const haproxy: Peer = {
  name: "haproxy",
  apt: "haproxy",
  program: "haproxy",
  version: () => read(["haproxy", "-v"], /version (\d+\.\d+\.\d+)/),
  async prepare({ folder, target, tls }) {
    const port = await freePort();
    const file = join(folder, "haproxy.cfg");
    const secure = tls === undefined ? "" : `bind 127.0.0.1:${tls.port} ssl crt ${tls.both}`;
    writeFileSync(
      file,
      `global
  log stdout format raw local0
  nbthread 1
  maxconn 9000
defaults
  mode http
  log global
  option httplog
  option dontlognull
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend web
  bind 127.0.0.1:${port} backlog 4096
  ${secure}
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  http-response set-header X-Request-Id %[unique-id]
  default_backend app
backend app
  http-reuse always
  server one 127.0.0.1:${target}
`,
    );
    return { command: ["haproxy", "-db", "-f", file], env: { PATH: path }, port };
  },
};

const caddy: Peer = {
  name: "caddy",
  apt: "caddy",
  program: "caddy",
  version: () => read(["caddy", "version"], /v?(\d+\.\d+\.\d+)/),
  async prepare({ folder, target, tls }) {
    const port = await freePort();
    const file = join(folder, "Caddyfile");
    const site = (address: string, secure: string) => `${address} {
  bind 127.0.0.1
  ${secure}
  log {
    output file ${folder}/caddy.access.log
  }
  header X-Request-Id {http.request.uuid}
  reverse_proxy 127.0.0.1:${target} {
    header_up X-Request-Id {http.request.uuid}
    header_up X-Forwarded-Port ${port}
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`;
    writeFileSync(
      file,
      `{
  admin off
  auto_https off
}
${site(`http://:${port}`, "")}${tls === undefined ? "" : site(`https://:${tls.port}`, `tls ${tls.cert} ${tls.key}`)}`,
    );
    return {
      command: ["caddy", "run", "--config", file, "--adapter", "caddyfile"],
      env: { PATH: path, GOMAXPROCS: "1", HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      port,
    };
  },
};

const node: Peer = {
  name: "node:http",
  apt: "nodejs",
  program: "node",
  version: () => read(["node", "--version"], /v(\S+)/),
  async prepare({ folder, target }) {
    return {
      command: ["node", "bench/node-proxy.cjs", String(target), join(folder, "node.access.log")],
      port: "printed",
    };
  },
};

const nines: Peer = {
  name: "nines",
  version: () => (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version,
  async prepare({ folder, target, tls, apps, instances }) {
    const options: NinesRouterOptions = {
      target,
      log: join(folder, "nines.access.log"),
      ...(tls === undefined ? {} : { tls }),
      ...(apps === undefined ? {} : { apps }),
      ...(instances === undefined ? {} : { instances }),
    };
    return {
      command: ["bin/bun", "--no-install", "bench/nines-router.ts", JSON.stringify(options)],
      port: "printed",
    };
  },
};

export const peers: readonly Peer[] = [nginx, haproxy, nines, caddy, node];

function read(command: readonly string[], version: RegExp): string {
  const [program = "", ...args] = command;
  const { stdout, stderr } = spawnSync(program, args, { env: { ...process.env, PATH: path } });
  return version.exec(`${stdout}${stderr}`)?.[1] ?? "unknown";
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
