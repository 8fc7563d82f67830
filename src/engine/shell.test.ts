import { expect, test } from "bun:test";
import { isPlain, toShell } from "./shell.ts";

const plain = [
  "node server.js",
  "node server.js --port $PORT",
  'gunicorn "app:app" -b 0.0.0.0:$PORT',
  "./bin/web < /dev/null",
  "  npm start ",
];
const kept = [
  "cd app && node server.js",
  "node a.js & node b.js",
  "A=1 node server.js",
  "exec node server.js",
  "exit 0",
  "a | b",
  "if true; then a; fi",
  "sh -c 'a; b'",
  "node server.js # the server",
  "echo $(date)",
  "",
];

for (const command of plain) {
  test(`the shell gives its place to: ${command}`, () => expect(toShell(command)[2]).toBe(`exec ${command}`));
}
for (const command of kept) {
  test(`the shell stays for: ${command}`, () => expect(isPlain(command)).toBe(false));
}
