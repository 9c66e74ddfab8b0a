import { expect, test } from "bun:test";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { KeptAnswers } from "./kept-answers.ts";

const service = (name: string, resourceVersion: string): APIService =>
  ({ metadata: { name, resourceVersion }, spec: {} }) as APIService;

function asking() {
  const asked: string[] = [];
  let isBroken = false;
  const kept = new KeptAnswers<string>(
    async ({ metadata }, before) => {
      asked.push(`${metadata.name} ${metadata.resourceVersion}`);
      await Bun.sleep(1);
      if (isBroken) throw new Error("broken");
      return before === undefined ? "first" : `after ${before}`;
    },
    () => undefined,
  );
  const answers = async (...services: APIService[]): Promise<string[]> =>
    (await kept.all(services)).map(([{ metadata }, answer]) => `${metadata.name}: ${answer}`);
  const breakDown = (): void => {
    isBroken = true;
  };
  return { asked, answers, breakDown };
}

test("a server is asked once for all who want to know, and again when its APIService has changed", async () => {
  const { asked, answers } = asking();
  const both = await Promise.all([answers(service("a", "1")), answers(service("a", "1"))]);
  expect(both).toEqual([["a: first"], ["a: first"]]);
  expect(await answers(service("a", "1"))).toEqual(["a: first"]);
  expect(await answers(service("a", "2"))).toEqual(["a: after first"]);
  expect(asked).toEqual(["a 1", "a 2"]);
});

test("a change while a server is asked is not missed", async () => {
  const { asked, answers } = asking();
  await Promise.all([answers(service("a", "1")), answers(service("a", "2"))]);
  await answers(service("a", "2"));
  expect(asked).toEqual(["a 1", "a 2"]);
});

test("what was said holds while the server says nothing, and is forgotten with its APIService", async () => {
  const { asked, answers, breakDown } = asking();
  await answers(service("a", "1"), service("b", "1"));
  breakDown();
  expect(await answers(service("a", "2"), service("b", "1"))).toEqual(["a: first", "b: first"]);
  expect(await answers(service("a", "2"), service("b", "1"))).toEqual(["a: first", "b: first"]);
  expect(asked).toEqual(["a 1", "b 1", "a 2"]);
  expect(await answers(service("b", "1"))).toEqual(["b: first"]);
  expect(await answers(service("a", "2"), service("b", "1"))).toEqual(["b: first"]);
});
