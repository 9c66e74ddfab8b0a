/** What mutating policies make of what is written is what upstream's make of it, in its words (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { optionalDeclarations } from "../../../master/apiserver/resources/index.ts";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import recorded from "./answers.json";
import { cases } from "./cases.ts";
import { type Answers, answersOf } from "./conversation.ts";
import { differences } from "./differences.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
let own: Answers;
beforeAll(async () => {
  server = await startExtendedServer([], { more: () => ({ declarations: optionalDeclarations }) });
  own = await answersOf(
    (path, init) => server.fetch(path, init),
    () => Promise.resolve(),
  );
});
afterAll(() => server.stop());

const upstream = recorded.answers as Readonly<Record<string, unknown>>;

for (const { name } of cases) {
  test(name, () => {
    if (differences[name]) expect(own.answers[name]).not.toEqual(upstream[name]);
    else expect(own.answers[name]).toEqual(upstream[name]);
  });
}

test("what is counted is upstream's", () => {
  const isAlike = (series: string): boolean => !Object.keys(differences).some((name) => series.includes(`"${name}"`));
  expect(own.metrics.filter(isAlike)).toEqual(recorded.metrics.filter(isAlike));
});
