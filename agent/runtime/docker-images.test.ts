import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Readable } from "node:stream";
import Docker from "dockerode";
import { busyboxArchive, canRunDockerd, startDockerd, type TestDockerd } from "../../test/support/dockerd.ts";
import { canRunRegistry, startRegistry, type TestRegistry } from "../../test/support/registry.ts";
import { DockerImages } from "./docker-images.ts";
import { pauseImageReference } from "./pause/pause-image.ts";
import { RuntimeError } from "./runtime.ts";
import { scratchImageArchive } from "./scratch-image.ts";

setDefaultTimeout(300_000);

describe.skipIf(!canRunDockerd() || !canRunRegistry())("images of a registry", () => {
  let dockerd: TestDockerd;
  let registry: TestRegistry;
  let images: DockerImages;

  beforeAll(async () => {
    dockerd = await startDockerd();
    registry = await startRegistry(dockerd);
    images = new DockerImages(new Docker({ socketPath: dockerd.socketPath }));
  });
  afterAll(async () => {
    await registry?.stop();
    await dockerd?.stop();
  });

  const name = (path: string) => `${registry.host}/${path}`;
  const auth = () => ({ username: registry.username, password: registry.password, serverAddress: registry.host });
  const kindOf = async (outcome: Promise<unknown>) => {
    const error = await outcome.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return error instanceof RuntimeError ? error.kind : `no RuntimeError: ${error}`;
  };

  test("a pull with credentials, by tag and by digest", async () => {
    const tagged = name("team/app:1");
    await registry.push(busyboxArchive(tagged, { User: "1234:5", Volumes: { "/data": {} } }), tagged);
    const lines: string[] = [];
    const id = await images.pull(tagged, auth(), (line) => lines.push(line));
    const status = await images.status(tagged);
    expect(status).toMatchObject({ id, tags: [tagged], user: { uid: 1234 }, volumes: ["/data"] });
    expect(lines.length).toBeGreaterThan(0);
    const [digest = ""] = status?.digests ?? [];
    expect(digest).toStartWith(`${name("team/app")}@sha256:`);
    expect(await images.imageIdFor(id)).toBe(digest);
    await images.remove(id);
    expect(await images.status(tagged)).toBeUndefined();
    expect(await images.pull(digest, auth())).toBe(id);
    expect(await images.pull(`${tagged}@${digest.split("@")[1]}`, auth())).toBe(id);
  });

  test("what a registry refuses is told apart", async () => {
    const tagged = name("team/private:1");
    await registry.push(busyboxArchive(tagged), tagged);
    expect(await kindOf(images.pull(tagged, undefined))).toBe("image-unauthorized");
    expect(await kindOf(images.pull(tagged, { ...auth(), password: "wrong" }))).toBe("image-unauthorized");
    expect(await kindOf(images.pull(name("team/absent:1"), auth()))).toBe("image-not-found");
    expect(await kindOf(images.pull("127.0.0.1:9/app:1", undefined))).toBe("registry-unreachable");
    expect(await kindOf(images.pull("Not A Name", undefined))).toBe("other");
  });

  test("an image for another architecture is refused by name", async () => {
    const tagged = name("team/foreign:1");
    const archive = scratchImageArchive({ reference: tagged, architecture: "s390x", entries: [], config: {} });
    await registry.push(archive, tagged);
    const outcome = images.pull(tagged, auth());
    expect(await kindOf(outcome)).toBe("image-wrong-platform");
    await expect(outcome).rejects.toThrow("is for linux/s390x");
  });

  test("an archive brings its images, and the pause image is made once", async () => {
    const reference = "example.local/loaded:2";
    expect(await images.load(Readable.from([Buffer.from(busyboxArchive(reference))]))).toEqual([reference]);
    expect(await images.status(reference)).toBeDefined();
    await Promise.all([images.ensurePause(), images.ensurePause()]);
    expect(await images.status(pauseImageReference)).toMatchObject({ pinned: true });
    expect(await kindOf(images.load(Readable.from([Buffer.from("no archive")])))).toBe("other");
  });
});
