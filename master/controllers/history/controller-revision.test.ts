import { afterEach, expect, test } from "bun:test";
import { controllerRevisions, daemonSets } from "#shared/api/resources.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { webTemplate } from "../testing/workloads.ts";
import { createRevision, revisionData, templateOf } from "./controller-revision.ts";

let harness: Harness<RecordingClient> | undefined;
afterEach(() => harness?.stop());

test("a revision that has become nobody's, which the cache may not show yet, is taken as it is", async () => {
  harness = await Harness.onApiServer();
  const { client } = harness;
  const make = async (uid: string) => {
    const owner = { apiVersion: "apps/v1", kind: "DaemonSet", metadata: { namespace: "default", name: "agent", uid } };
    const wanted = {
      ref: daemonSets,
      owner,
      template: webTemplate(),
      revision: 1,
      collisionCount: 0,
      hashLabel: "hash",
    };
    const { revision, collisionCount } = await createRevision(
      { client } as unknown as ControllerContext,
      wanted as never,
    );
    return { name: revision.metadata.name ?? "", collisionCount };
  };
  const { name } = await make("former");
  expect(await make("another")).toMatchObject({ collisionCount: 1 });
  const key = { namespace: "default", name };
  await client.patch(controllerRevisions, key, { type: "merge", body: { metadata: { ownerReferences: null } } });
  expect(await make("present")).toEqual({ name, collisionCount: 0 });
});

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
