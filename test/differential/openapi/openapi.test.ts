/** OpenAPI documents are those that upstream's API server v1.35.4 publishes (recorded by record.ts), but for differences.ts. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { loadDescriptions, noDescriptions } from "#shared/api/openapi/descriptions.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answerDifferences, differences } from "./differences.ts";
import { type Documents, differing, type Fetch, fetchDocuments } from "./documents.ts";
import { loadRecording } from "./recording.ts";
import { fetchAnswers } from "./requests.ts";

setDefaultTimeout(120_000);

const recorded = loadRecording();
let server: WireServer;
let fetched: Fetch;
let ours: Documents;
beforeAll(async () => {
  server = await startWireServer();
  const { url, tls } = server.target;
  fetched = (path, init) => fetch(url + path, { ...init, tls } as RequestInit);
  ours = await fetchDocuments(fetched);
});
afterAll(() => server.stop());

const hasReason = (place: string): boolean => differences.some(({ places }) => places.test(place));

for (const part of ["v2", "v3"] as const) {
  test(`documents of OpenAPI ${part}`, async () => {
    // Where the build has not collected the texts, there are none.
    const hasTexts = (await loadDescriptions()) !== noDescriptions;
    const found = [...differing(recorded.documents[part], ours[part], `|${part}`)]
      .filter(({ place, upstream }) => hasTexts || upstream !== true || !place.endsWith("|description"))
      .filter(({ place }) => !hasReason(place));
    expect(found).toEqual([]);
  });
}

test("answers", async () => {
  const answers = Object.entries(await fetchAnswers(fetched)).map(([asked, answer]) => {
    const differing = answerDifferences.filter((each) => each.asked.test(asked));
    return [asked, differing.reduce((left, { without }) => without(left), answer)] as const;
  });
  expect(Object.fromEntries(answers)).toEqual(recorded.answers);
});
