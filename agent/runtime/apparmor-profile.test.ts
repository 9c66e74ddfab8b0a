import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertProfileLoaded } from "./apparmor-profile.ts";

const folder = mkdtempSync(join(tmpdir(), "brt-apparmor-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = join(folder, "profiles");
writeFileSync(file, "docker-default (enforce)\n/usr/bin/man (complain)\nmy profile (enforce)\n");

test.each([undefined, "unconfined", "localhost/docker-default", "localhost//usr/bin/man", "localhost/my profile"])(
  "%s may be asked for",
  (profile) => expect(assertProfileLoaded(profile, file)).resolves.toBeUndefined(),
);

test.each(["unconfined", "docker-default//&unconfined", "localhost/docker-default", "absent", "docker", ""])(
  "a profile of the board called %s is none",
  (name) =>
    expect(assertProfileLoaded(`localhost/${name}`, file)).rejects.toMatchObject({
      kind: "cannot-start",
      message: `apparmor profile not found ${name}`,
    }),
);

test("where the kernel has no profiles, none is found", () =>
  expect(assertProfileLoaded("localhost/mine", join(folder, "absent"))).rejects.toMatchObject({
    kind: "cannot-start",
  }));
