/** `nines certs`, `certs:add`, `certs:remove`: the routers' certificates, which are files in the home. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NinesError, toError } from "../../std/errors.ts";
import { writeAtomic } from "../../std/file.ts";
import { isCertHost, toCertHost, toCertName } from "../../wire/certs.ts";
import { defineCommand, jsonFlag, noArgs } from "../command.ts";

const flags = { json: jsonFlag } as const;

export const certs = defineCommand({
  places: "",
  args: noArgs,
  flags,
  async run({ flags, out, home }) {
    const files = existsSync(home.certs) ? readdirSync(home.certs) : [];
    const list = files
      .filter((file) => file.endsWith(".crt"))
      .sort()
      .map((file) => {
        const { validTo } = new X509Certificate(readFileSync(join(home.certs, file)));
        return { host: toCertHost(file.slice(0, -4)), until: new Date(validTo).toISOString() };
      });
    if (flags.json) out.json(list);
    else if (list.length === 0) out.line("no certificates");
    else for (const { host, until } of list) out.line(`${host.padEnd(40)} until ${until.slice(0, 10)}`);
    return 0;
  },
});

export const add = defineCommand({
  places: "HOST",
  args: { min: 1, max: 1 },
  flags: {
    ...flags,
    cert: { kind: "text", value: "FILE", summary: "the certificate and those above it, as PEM" },
    key: { kind: "text", value: "FILE", summary: "its private key, as PEM" },
  },
  notes: "The routers use it within two seconds, for new connections; NINES_TLS_PORT says where they listen.",
  async run({ flags, args: [host = ""], out, home }) {
    if (!isCertHost(host)) throw new NinesError("invalid", `"${host}" is no host name`);
    const cert = read(flags.cert, "--cert");
    const key = read(flags.key, "--key");
    check(host, cert, key);
    mkdirSync(home.certs, { recursive: true, mode: 0o700 });
    const path = join(home.certs, toCertName(host));
    // Each file is whole at any time; a router that reads between the two keeps what it has.
    writeAtomic(`${path}.key`, key, { mode: 0o600, durable: true });
    writeAtomic(`${path}.crt`, cert, { mode: 0o600, durable: true });
    if (flags.json) out.json({ host });
    else out.line(`${host} has its certificate`);
    return 0;
  },
});

export const remove = defineCommand({
  places: "HOST",
  args: { min: 1, max: 1 },
  flags,
  async run({ flags, args: [host = ""], out, home }) {
    const path = join(home.certs, toCertName(host));
    if (!isCertHost(host) || !existsSync(`${path}.crt`)) {
      throw new NinesError("not_found", `${host} has no certificate`);
    }
    for (const kind of ["crt", "key"]) rmSync(`${path}.${kind}`, { force: true });
    if (flags.json) out.json({ host });
    else out.line(`${host} has no certificate now`);
    return 0;
  },
});

function read(path: string | undefined, flag: string): string {
  if (path === undefined) throw new NinesError("invalid", `${flag} FILE is missing`);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new NinesError("invalid", `${flag}: ${toError(error).message}`, { cause: error });
  }
}

function check(host: string, cert: string, key: string): void {
  let certificate: X509Certificate;
  let isPair: boolean;
  try {
    certificate = new X509Certificate(cert);
    isPair = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new NinesError("invalid", `these are no PEM files: ${toError(error).message}`, { cause: error });
  }
  if (!isPair) throw new NinesError("invalid", "the key is not that of the certificate");
  const asked = host.replace(/^\*\./, "any.");
  if (certificate.checkHost(asked) === undefined) {
    throw new NinesError(
      "invalid",
      `the certificate is not for ${host}: it is for ${certificate.subjectAltName}`,
    );
  }
  if (new Date(certificate.validTo).getTime() < Date.now()) {
    throw new NinesError("invalid", `the certificate ended at ${certificate.validTo}`);
  }
}
