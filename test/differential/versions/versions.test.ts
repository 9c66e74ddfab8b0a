/** Who owns what of custom resources in several versions is as upstream's server has it (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { sendInOrder } from "../in-order.ts";
import { answerOf, type WireAnswer } from "../wire/answer.ts";
import answers from "./answers.json";
import { type Converter, startConverter } from "./converter.ts";
import { requestsWith } from "./requests.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
let converter: Converter;
let ours: Readonly<Record<string, WireAnswer>>;
beforeAll(async () => {
  server = await startExtendedServer([]);
  converter = await startConverter();
  ours = await sendInOrder(requestsWith(converter), server.fetch, answerOf);
});
afterAll(async () => {
  converter?.stop();
  await server?.stop();
});

/** Where Bramble answers otherwise on purpose, and how. Numbers of requests are left out. */
const ownWay: Readonly<Record<string, (answer: WireAnswer) => void>> = {
  // Upstream, whose converter knows no Scale, fails to apply that of any custom resource.
  "widgets four: apply of a scale": ({ code, body }) =>
    expect([code, (body as { spec?: object }).spec]).toEqual([200, { replicas: 4 }]),
  // An entry of a version that is not there any more is forgotten when the object is written next. Upstream fails every apply
  // then, until an update forgets all owners.
  "widgets one: apply v1 without v3": owners(["a", "c"]),
  "widgets one: merge v2 without v3": owners(["a", "e"]),
  "widgets two: merge v1 without v3": owners(["e", "editor", "maker"]),
  "97 widgets one: get v1": owners(["a", "e"]),
  "widgets two: apply v2 without v3": owners(["editor", "g", "maker"]),
};

function owners(names: readonly string[]): (answer: WireAnswer) => void {
  return ({ code, body }) => {
    const { metadata } = body as { metadata: { managedFields?: { manager: string }[] } };
    expect([code, (metadata.managedFields ?? []).map(({ manager }) => manager).sort()]).toEqual([200, [...names]]);
  };
}

for (const [name, expected] of Object.entries(answers as Record<string, unknown>)) {
  const own = ownWay[name] ?? ownWay[name.replace(/^\d+ /, "")];
  test(name, () => {
    const answer = ours[name] ?? { code: 0, type: "" };
    if (!own) return expect(answer as unknown).toEqual(expected);
    expect(answer as unknown).not.toEqual(expected);
    own(answer);
  });
}
