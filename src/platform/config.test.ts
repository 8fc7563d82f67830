import { expect, test } from "bun:test";
import { parseConfig, toEnv } from "./config.ts";

test("an empty environment gives the defaults", () => {
  const config = parseConfig({ HOME: "/home/ann" });
  expect(config).toMatchObject({
    home: "/home/ann/.nines",
    host: "127.0.0.1",
    port: 8080,
    apiPort: 7700,
    brokers: 3,
  });
});

test("every problem of the environment is listed in one error", () => {
  const wrong = {
    NINES_PORT: "80x",
    NINES_ROUTERS: "0",
    NINES_INSTANCE_PORTS: "20-30",
    DATABASE_URL: "mysql://x",
  };
  expect(() => parseConfig(wrong)).toThrow(
    /4 problem.*NINES_INSTANCE_PORTS.*DATABASE_URL.*NINES_PORT="80x".*NINES_ROUTERS/s,
  );
});

test("brokers listen to the network only with a certificate and its key", () => {
  expect(() => parseConfig({ NINES_BUS_HOST: "0.0.0.0" })).toThrow("needs NINES_BUS_CERT and NINES_BUS_KEY");
  expect(() => parseConfig({ NINES_BUS_CERT: "/a.crt" })).toThrow("one of them is missing");
  expect(() => parseConfig({ NINES_BUS_HOST: "broker.example" })).toThrow("NINES_BUS_HOST");
  const given = { NINES_BUS_HOST: "::", NINES_BUS_CERT: "/a.crt", NINES_BUS_KEY: "/a.key" };
  const config = parseConfig(given);
  expect(config).toMatchObject({ busHost: "::", busTls: { cert: "/a.crt", key: "/a.key" } });
  expect(toEnv(config, {})).toMatchObject(given);
});

test("a part that is given the environment of a config reads the same config", () => {
  const config = parseConfig({ NINES_HOME: "/tmp/x", NINES_PORT: "0", DATABASE_URL: "postgres://db/nines" });
  expect(parseConfig(toEnv(config, {}))).toEqual(config);
});

test("what is not the platform's is not handed down to its parts", () => {
  const config = parseConfig({ NINES_HOME: "/tmp/x" });
  expect(toEnv(config, { AWS_SECRET: "s", PATH: "/bin" })).not.toHaveProperty("AWS_SECRET");
});
