/** `npm run bench -- NAME`: one measurement beside its peers, from bench/; what follows the name is the measurement's own. */
const [name = "", ...names] = process.argv.slice(2);
const benches: Readonly<Record<string, () => Promise<number>>> = {
  router: async () => (await import("../bench/router.ts")).benchRouter(names),
  routes: async () => (await import("../bench/routes.ts")).benchRoutes(),
  bus: async () => (await import("../bench/bus.ts")).benchBus(),
  failover: async () => (await import("../bench/failover.ts")).benchFailover(),
  buffer: async () => (await import("../bench/buffer.ts")).benchBuffer(names),
  flags: async () => (await import("../bench/flags.ts")).benchFlags(),
  metrics: async () => (await import("../bench/metrics.ts")).benchMetrics(names),
  start: async () => (await import("../bench/start.ts")).benchStart(),
  alerts: async () => (await import("../bench/alerts.ts")).benchAlerts(),
  drill: async () => (await import("../bench/drill.ts")).benchDrill(names),
  flow: async () => (await import("../bench/flow.ts")).benchFlow(),
};

const bench = benches[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join(" | ")}`);
  process.exit(64);
}
process.exit(await bench());
