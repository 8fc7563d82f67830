/** `nines install`: a systemd unit, so that the platform is up whenever the machine is. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { NinesError, systemCode } from "../../std/errors.ts";
import { writeAtomic } from "../../std/file.ts";
import { defineCommand, type Env, jsonFlag, noArgs } from "../command.ts";

const program = join(import.meta.dir, "../../../bin/nines");
const unitName = "nines.service";

export const install = defineCommand({
  places: "",
  args: noArgs,
  flags: {
    json: jsonFlag,
    user: { kind: "switch", summary: "a unit of this user alone, without root" },
    print: { kind: "switch", summary: "print the unit and write nothing" },
  },
  notes: "The unit carries the home and the ports that the environment has now.",
  async run({ flags, env, out, home }) {
    const unit = toUnit({ program, home: home.root, env, user: flags.user, as: userInfo().username });
    if (flags.print) {
      if (flags.json) out.json({ unit });
      else out.stdout.write(unit);
      return 0;
    }
    const path = flags.user
      ? join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "systemd/user", unitName)
      : join("/etc/systemd/system", unitName);
    const changed = !existsSync(path) || readFileSync(path, "utf8") !== unit;
    if (changed) write(path, unit);
    if (flags.json) {
      out.json({ path, changed });
      return 0;
    }
    const systemctl = flags.user ? "systemctl --user" : "systemctl";
    out.line(`${path} ${changed ? "is written" : "is as it should be"}. To start it, now and at every boot:`);
    out.line(`  ${systemctl} daemon-reload`);
    out.line(`  ${systemctl} enable --now nines`);
    if (!existsSync("/run/systemd/system")) out.note("systemd does not run on this machine now");
    out.line(`To stop it: ${systemctl} stop nines (nines down alone is undone by systemd).`);
    if (flags.user) out.line("  loginctl enable-linger     # it goes on when you log out");
    return 0;
  },
});

/** The unit's text. KillMode=process: systemd ends the guard alone, which takes the rest down in order. */
export function toUnit(given: {
  readonly program: string;
  readonly home: string;
  readonly env: Env;
  readonly user: boolean;
  readonly as: string;
}): string {
  const { program, home, env, user, as } = given;
  const kept = Object.keys(env)
    .filter((name) => /^NINES_(HOST|PORT|API_PORT|BROKERS|CONTROLLERS|ROUTERS|INSTANCE_PORTS)$/.test(name))
    .toSorted()
    .map((name) => `Environment=${quote(`${name}=${env[name]}`)}`);
  return `${[
    "[Unit]",
    "Description=Nines, an always-on platform",
    "After=network.target",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    `Environment=${quote(`NINES_HOME=${home}`)}`,
    `Environment=${quote(`PATH=${env.PATH ?? "/usr/local/bin:/usr/bin:/bin"}`)}`,
    ...kept,
    ...(user ? [] : [`User=${as}`]),
    `ExecStart=${quote(program)} up`,
    `ExecStop=${quote(program)} down`,
    "Restart=always",
    "RestartSec=200ms",
    "KillMode=process",
    "TimeoutStopSec=120",
    "LimitNOFILE=1048576",
    "",
    "[Install]",
    `WantedBy=${user ? "default.target" : "multi-user.target"}`,
  ].join("\n")}\n`;
}

function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeAtomic(path, text, { mode: 0o644, durable: true });
  } catch (cause) {
    const code = systemCode(cause);
    throw new NinesError("forbidden", `${path} cannot be written${code === undefined ? "" : ` (${code})`}`, {
      cause,
      hint: "run it as root, or add --user; --print shows the unit",
    });
  }
}

/** As systemd reads it: in quotes, where \\, " and % have a meaning of their own. */
function quote(text: string): string {
  const escaped = text.replace(/[\\"]/g, "\\$&").replaceAll("%", "%%");
  return /[\s\\"']/.test(text) ? `"${escaped}"` : escaped;
}
