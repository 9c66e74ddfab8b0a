import { expect, test } from "bun:test";
import { nodes } from "#shared/api/resources.ts";
import { authorityAnnotations, isBehindAuthorities } from "#shared/pki/authority-annotations.ts";
import { createCertificateAuthority } from "#shared/pki/certificate.ts";
import { testNode } from "../scheduler/testing.ts";
import { boardAuthorities } from "./board-authorities.ts";
import { eventually } from "./testing/eventually.ts";
import { Harness } from "./testing/harness.ts";

test("boards that go by other authorities than the cluster are told, each once; others are left alone", async () => {
  const [former, next] = await Promise.all([createCertificateAuthority("a"), createCertificateAuthority("b")]);
  const both = former.certificatePem + next.certificatePem;
  const harness = await Harness.onApiServer();
  const { client } = harness;
  const board = async (name: string, trusted: string | undefined) => {
    const node = testNode(name);
    if (trusted) node.metadata.annotations = authorityAnnotations(trusted, undefined);
    await client.create(nodes, node);
  };
  const annotationsOf = async (name: string) => (await client.get(nodes, { name })).metadata.annotations;
  await board("new", undefined);
  await board("follows", both);
  await board("behind", former.certificatePem);
  const running = await harness.run(boardAuthorities(() => both));
  await eventually(
    async () => isBehindAuthorities(await annotationsOf("behind"), former.certificatePem),
    "the board that is behind is told",
  );
  await eventually(() => running.queue.idle, "nothing left to do");
  expect(await annotationsOf("new")).toBeUndefined();
  expect(await annotationsOf("follows")).toEqual(authorityAnnotations(both, undefined));

  // It asks, gets them, and says so.
  const told = authorityAnnotations(both, undefined);
  await client.patch(nodes, { name: "behind" }, { type: "merge", body: { metadata: { annotations: told } } });
  await eventually(() => running.queue.idle, "nothing left to do");
  const settled = await annotationsOf("behind");
  expect(settled).toMatchObject(told);
  expect(isBehindAuthorities(settled, both)).toBe(false);
  await harness.stop();
});
