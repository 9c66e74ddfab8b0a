import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { until } from "#shared/testing/until.ts";
import { rejection } from "../store-contract.ts";
import { KeyService } from "./key-service.ts";
import { KeyServiceError } from "./key-service-error.ts";
import { EncryptedObject } from "./kms-messages.ts";
import { KmsProvider, kmsTimes } from "./kms-provider.ts";
import { KmsPluginProcess } from "./testing/plugin-process.ts";

const key = "/registry/secrets/default/one";
/** Every look at the health is a new question. */
const eager = { ...kmsTimes, unhealthy_ms: 50, wellFor_ms: 0, illFor_ms: 0 };

let plugin: KmsPluginProcess;
let open: KmsProvider[] = [];
beforeEach(() => {
  plugin = new KmsPluginProcess();
});
afterEach(async () => {
  for (const provider of open) provider.close();
  open = [];
  await plugin.remove();
});

interface MadeOptions {
  timeout_ms?: number;
  times?: Partial<typeof eager>;
  onWell?: () => void;
}

/** @param timeout_ms long enough for any machine, unless a test is about who does not answer. */
function made({ timeout_ms = 60_000, times = {}, onWell }: MadeOptions = {}) {
  const service = new KeyService({ name: "one", endpoint: new URL(plugin.endpoint), timeout_ms });
  const provider = new KmsProvider({ name: "one", service, log: silentLog, onWell, times: { ...eager, ...times } });
  open.push(provider);
  return provider;
}

async function started(options: Parameters<typeof made>[0] = {}): Promise<KmsProvider> {
  const provider = made(options);
  await provider.start();
  return provider;
}

const refusalOf = async (asked: unknown): Promise<Error> => (await rejection(Promise.resolve(asked))) as Error;
const keyIdOf = (sealed: Buffer): string => EncryptedObject.decode(sealed).keyId;
const thrownBy = (work: () => unknown): Error => {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
};

/** What kube-apiserver v1.35.4 wrote under `key` with the same key service: a Secret in protobuf. */
const upstreams =
  "Co8C756qV7UyxZB7ZBkemIYtYMAl3XcnXhKASIjmnTHBjUQy+78YOF+DQAXE5x9cSXynDQJ+j1o2c9NFskzbzgc+eWv74fssyfUVNc/5KU2chBEqTp6iRzdFUvqWseSEYxePZaCeWLHaK9FXt2ZSZRvFW6wtFDnqsjccSngAATyr3Y/Us9StQzxk8mawBjHSYul//NsISqxMcqXEbhJJehunVzv5vSJSiCYTHdIDMU8mnTVcOXWr5071nUPavTBEDDLe7UD0ZuHvMKP05EStGaf59tJO63s5H0zbuXsrOJHnznYYcjLNPA35uw164Pn+882CMH3SUQJIR1g+iYkXEgj+hE3xW7ZK3PVzGaLRW2yIFBIFa2V5LTEaSBc2/A3DX6281IcsP0DPw00e3mRhCHcUkE694NRRThLr/cBYHaocySUldE1GzrVIv+Wuv/STv8k4A31vnAtHxX1vsJfPIJeisygB";

describe("a key service that is well", () => {
  test("hides values, each under a key of its own, and gives them back", async () => {
    await plugin.start();
    const provider = await started();
    const sealed = provider.seal(key, "the välue");
    expect(sealed.toString("latin1")).not.toContain("value");
    expect(provider.seal(key, "the välue")).not.toEqual(sealed);
    expect(provider.open(key, sealed)).toBe("the välue");
    expect(() => provider.open("/registry/secrets/default/two", sealed)).toThrow();
    // After a start nobody has the seed but the service.
    expect(await (await started()).open(key, sealed)).toBe("the välue");
  });

  test("opens what upstream's API server wrote", async () => {
    await plugin.start();
    const opened = await (await started()).open(key, Buffer.from(upstreams, "base64"));
    expect(opened).toStartWith("k8s\0");
    expect(opened).toContain("default");
  });

  test("is asked once for a seed, however many values need it at a time", async () => {
    await plugin.start();
    const sealed = (await started()).seal(key, "x");
    const later = await started();
    plugin.behave({ delay_ms: 20 });
    const opened = await Promise.all(Array.from({ length: 100 }, () => later.open(key, sealed)));
    expect(new Set(opened)).toEqual(new Set(["x"]));
    expect(later.open(key, sealed)).toBe("x");
  });

  test("brings a new seed when it names another key, also while values are written", async () => {
    await plugin.start({ keyId: "key-1", annotations: { "of.example.com": "1" } });
    const provider = await started();
    const before = provider.seal(key, "before");
    plugin.behave({ keyId: "key-2" });
    const turning = provider.check();
    const during = provider.seal(key, "during");
    await turning;
    const after = provider.seal(key, "after");
    expect([before, during, after].map(keyIdOf)).toEqual(["key-1", "key-1", "key-2"]);
    expect([before, during, after].map((each) => provider.open(key, each))).toEqual(["before", "during", "after"]);
    const later = await started();
    expect(await later.open(key, before)).toBe("before");
  });
});

describe("a key service that is away", () => {
  test("from the start: values are neither written nor read before it comes", async () => {
    await plugin.start();
    const sealed = (await started()).seal(key, "x");
    await plugin.kill();
    const provider = await started({ timeout_ms: 200 });
    expect(thrownBy(() => provider.seal(key, "y"))).toEqual(new KeyServiceError("got unexpected nil transformer"));
    const refused = await refusalOf(provider.open(key, sealed));
    expect(refused).toBeInstanceOf(KeyServiceError);
    expect(refused.message).toStartWith(
      "failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
    );
    expect((await refusalOf(provider.check())).message).toStartWith(
      "failed to perform status section of the healthz check for KMS Provider one, error: rpc error: code = DeadlineExceeded desc = ",
    );
    await plugin.start();
    await until("the service is well", () =>
      provider.check().then(
        () => true,
        () => false,
      ),
    );
    expect(await provider.open(key, provider.seal(key, "y"))).toBe("y");
    expect(await until("the service decrypts", async () => provider.open(key, sealed))).toBe("x");
  });

  test("and comes back: whoever could not read is told, and reads at once what was refused a moment ago", async () => {
    await plugin.start();
    const sealed = (await started()).seal(key, "x");
    await plugin.kill();
    const well = Promise.withResolvers<void>();
    const provider = made({ timeout_ms: 200, times: { illFor_ms: kmsTimes.illFor_ms }, onWell: well.resolve });
    await provider.start();
    expect(await refusalOf(provider.open(key, sealed))).toBeInstanceOf(KeyServiceError);
    await plugin.start();
    await well.promise;
    expect(await provider.open(key, sealed)).toBe("x");
  });

  test("later: what is known is read on, and written until the time is over", async () => {
    await plugin.start();
    const provider = await started();
    const sealed = provider.seal(key, "x");
    const expired = await started({ times: { writeFor_ms: 0 } });
    expect(await expired.open(key, sealed)).toBe("x");
    await plugin.kill();
    expect(provider.open(key, provider.seal(key, "y"))).toBe("y");
    const refused = await until("nothing is written any more", () => {
      try {
        expired.seal(key, "y");
        return undefined;
      } catch (error) {
        return error as Error;
      }
    });
    expect(refused).toBeInstanceOf(KeyServiceError);
    expect(refused?.message).toMatch(
      /^encryptedDEKSource with keyID hash "sha256:[\da-f]{64}" expired at \S+Z \(current time is \S+Z\)$/,
    );
    expect(expired.open(key, sealed)).toBe("x");
  });

  test("a slow one is not waited for longer than its time", async () => {
    await plugin.start();
    const sealed = (await started()).seal(key, "x");
    const provider = await started({ timeout_ms: 300 });
    await until("the service is well", () => provider.check().then(() => true));
    plugin.behave({ delay_ms: 60_000 });
    const refused = await refusalOf(provider.open(key, sealed));
    expect(refused.message).toBe(
      "failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
    );
    // The seed that it gave is good for its time.
    expect(provider.open(key, provider.seal(key, "y"))).toBe("y");
  });
});

describe("a key service that answers what it may not", () => {
  const long = "k".repeat(1025);
  test.each([
    ["a status that is not ok", { healthz: "the HSM is on fire" }, "got unexpected healthz status: the HSM is on fire"],
    ["another version", { version: "v3" }, "expected KMSv2 API version v2, got v3"],
    [
      "a change of its version",
      { version: "v2beta1" },
      "KMSv2 API version should not change after the initial status response version v2, got v2beta1",
    ],
    ["no key", { keyId: "" }, 'got invalid KMSv2 KeyID hash "": keyID is empty'],
    ["a key whose ID is too long", { keyId: long }, "keyID is 1025 bytes, which exceeds the max size of 1024"],
    ["another key than it encrypts with", { keyId: "key-2", encryptKeyId: "key-3" }, "errGen=<nil>"],
    [
      "notes under names that are none",
      { keyId: "key-2", annotations: { name: "x" } },
      'errGen=failed to validate annotations: annotations: Invalid value: "name": should be a domain with at least two segments separated by dots',
    ],
    [
      "too many notes",
      { keyId: "key-2", annotations: { "a.example.com": "x".repeat(32 * 1024) } },
      "errGen=failed to validate annotations: total size of annotations is 32781, which exceeds the max size of 32768",
    ],
    [
      "too much",
      { keyId: "key-2", padding: 1024 },
      "errGen=failed to validate encrypted DEK source: encrypted DEK source is 1096 bytes, which exceeds the max size of 1024",
    ],
    [
      "an error",
      { keyId: "key-2", failing: ["Encrypt"] },
      "errGen=failed to encrypt DEK, error: rpc error: code = Internal desc = Encrypt is broken",
    ],
  ])("%s: the former seed goes on", async (_what, behaviour, fault) => {
    await plugin.start();
    const provider = await started();
    await provider.check();
    plugin.behave(behaviour);
    const { message } = await refusalOf(provider.check());
    expect(message).toStartWith("kmsv2 Provider one is not healthy, error: ");
    expect(message).toContain(fault);
    const sealed = provider.seal(key, "x");
    expect(keyIdOf(sealed)).toBe("key-1");
    expect(provider.open(key, sealed)).toBe("x");
  });

  test("what does not decrypt is told with the service's own words", async () => {
    await plugin.start();
    const sealed = (await started()).seal(key, "x");
    const provider = await started();
    plugin.behave({ failing: ["Decrypt"] });
    const refused = await refusalOf(provider.open(key, sealed));
    expect(refused).toBeInstanceOf(KeyServiceError);
    expect(refused.message).toBe("failed to decrypt DEK, error: rpc error: code = Internal desc = Decrypt is broken");
    plugin.behave({});
    expect(await provider.open(key, sealed)).toBe("x");
  });
});
