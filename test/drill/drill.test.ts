/**
 * The drill itself. The long form holds every promise. The short one, on a machine that others keep busy, holds those
 * that are not about how long something took.
 */
import { expect, test } from "bun:test";
import { chooseKinds, drill, toPage, toPicture, toText } from "../../src/drill/drill.ts";
import { short } from "../length.ts";

const limitMs = 900_000;
const timed = [
  "slow clients cut",
  "messages refused",
  "writes refused",
  "flags silent or late",
  "overload felt",
  "changes failed",
  "not back by itself",
  "bystanders restarted",
  "not flat",
];
const { chosen } = chooseKinds(["kill", "several", "change", "postgres"]);

test(
  "whatever is killed, what was acknowledged has happened",
  async () => {
    const minutes = short ? 2 : 5;
    const report = await drill({ version: "test", minutes, seed: 42, kinds: chosen, rate: 60 }, () => {});
    console.log(`${toText(report)}\n${report.verdict.line}`);
    const held = report.verdict.claims.filter((claim) => !short || !timed.includes(claim.name));
    expect(held.flatMap((claim) => claim.broken)).toEqual([]);
    expect(report.deeds.length).toBeGreaterThan(0);
    expect(report.requests.answered).toBeGreaterThan(0);
    expect(report.messages.acked).toBeGreaterThan(0);
    expect(report.writes.accepted).toBeGreaterThan(0);
    const page = toPage(report);
    expect(page).not.toMatch(/(src|href)=|url\(|@import/);
    expect(page).toContain(report.verdict.line);
    const picture = toPicture(report);
    expect(picture).not.toMatch(/(src|href)=|url\(|@import/);
    expect(picture.match(/<svg /g)).toHaveLength(4);
    expect(picture).toContain(report.verdict.line);
  },
  limitMs,
);
