/** An app whose bug shows only in the stage `beta`, and its stages. */
import { writeApp } from "../apps.ts";

export interface Bug {
  /** Each answer takes so much longer. */
  readonly slowMs?: number;
  /** Share of the requests that are answered with 500. */
  readonly failing?: number;
  /** Bytes that each request leaves behind. */
  readonly leakBytes?: number;
  /** Its health path never answers 2xx. */
  readonly unready?: boolean;
  /** It shows whatever the stage is. */
  readonly everywhere?: boolean;
}

const server = `
const { createServer } = require("node:http");
const bug = require("./bug.json");
const kept = [];
let count = 0;
const server = createServer((request, response) => {
  if (request.url === "/healthz") return response.writeHead(bug.unready ? 503 : 200).end();
  const stage = request.headers["x-nines-stage"] ?? "";
  const hurts = bug.everywhere || stage === "beta";
  const facts = { release: process.env.NINES_RELEASE, own: process.env.NINES_STAGE, stage, user: request.headers["x-user"] };
  if (hurts && bug.leakBytes) kept.push(Buffer.alloc(bug.leakBytes, 1));
  const fails = hurts && bug.failing && ++count % Math.round(1 / bug.failing) === 0;
  const answer = () => {
    response.writeHead(fails ? 500 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(facts));
  };
  setTimeout(answer, 5 + (hurts ? bug.slowMs ?? 0 : 0));
});
process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
server.listen(process.env.PORT);
`;

export interface Plan {
  readonly bakeMs?: number;
  readonly requestsMin?: number;
  readonly deadlineMs?: number;
  readonly asserts?: readonly string[];
  readonly onFailure?: "rollback" | "pause";
}

/** `staff` is let in first, then 30 % of the users. */
export function writeStaged(folder: string, bug: Bug, plan: Plan = {}): string {
  const stages = [
    { name: "internal", audience: { users: ["staff"] }, share: "1%", bake: "500ms" },
    {
      name: "beta",
      audience: { percent: 30 },
      share: "50%",
      bake: `${plan.bakeMs ?? 3_000}ms`,
      min_requests: plan.requestsMin ?? 40,
      deadline: `${plan.deadlineMs ?? 60_000}ms`,
      asserts: plan.asserts ?? [],
      on_failure: plan.onFailure ?? "rollback",
    },
    { name: "all", bake: "500ms" },
  ];
  return writeApp(folder, {
    Procfile: "web: node server.js\n",
    "server.js": server,
    "bug.json": JSON.stringify(bug),
    "nines.yaml": [
      "health: {path: /healthz, interval: 300ms, timeout: 2s, failures: 5}",
      "memory: 96M",
      // Soon over for one that never is, and long enough on a busy machine for the others.
      `boot_timeout: ${bug.unready ? "3s" : "30s"}`,
      "drain_timeout: 2s",
      "grace: 2s",
      "sticky: {header: X-User}",
      `stages: ${JSON.stringify(stages)}`,
      "",
    ].join("\n"),
  });
}
