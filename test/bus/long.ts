/**
 * `bun test/bus/long.ts MINUTES [PER_SECOND [FAULT,FAULT]]`: the checker for as long as is wanted; with faults
 * named, those alone and one broker at a time. Exits with 1 when anything is wrong.
 */
import { check } from "./checker.ts";
import { faults } from "./nemesis.ts";

const [minutes = "10", perSecond = "300", only] = process.argv.slice(2);
const plan = {
  seconds: Number(minutes) * 60,
  publishers: 4,
  subscribers: 4,
  perSecond: Number(perSecond),
  ...(only === undefined ? {} : { faults: faults.filter((fault) => only.split(",").includes(fault)) }),
};
const verdict = await check(plan, (line) => console.error(line));
const { lost, duplicateEffects, outOfOrder, ...numbers } = verdict;
console.log(
  JSON.stringify(
    {
      ...numbers,
      lost: lost.length,
      duplicateEffects: duplicateEffects.length,
      outOfOrder: outOfOrder.length,
    },
    null,
    2,
  ),
);
for (const one of [...lost, ...duplicateEffects, ...outOfOrder].slice(0, 50)) console.log(one);
process.exit(lost.length + duplicateEffects.length + outOfOrder.length === 0 ? 0 : 1);
