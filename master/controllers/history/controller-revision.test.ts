import { expect, test } from "bun:test";
import { revisionData, templateOf } from "./controller-revision.ts";

test("a revision's bytes are what Go makes of the template", () => {
  const template = {
    metadata: { labels: { b: "2", a: "1" } },
    spec: { containers: [{ name: "c", image: "i" }], activeDeadlineSeconds: 1 },
  };
  const data = revisionData(template);
  expect(JSON.stringify(data)).toBe(
    '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"1","b":"2"}},' +
      '"spec":{"activeDeadlineSeconds":1,"containers":[{"image":"i","name":"c"}]}}}}',
  );
  expect(templateOf({ apiVersion: "apps/v1", kind: "ControllerRevision", metadata: {}, data, revision: 1 })).toEqual(
    template,
  );
});
