import { decodeProtectedHeader } from "jose";
import { configMaps, nodes, secrets } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { bundleFingerprints } from "#shared/pki/certificate-bundle.ts";
import { certificateFingerprint } from "#shared/pki/certificate-facts.ts";
import { parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import {
  dropFormerSigningKeys,
  finishRotation,
  introduceAuthorities,
  publishSigningKey,
  rotationStage,
  signingStage,
  switchAuthorities,
  switchSigningKey,
} from "../pki/authority-rotation.ts";
import type { KeyFiles } from "../pki/cluster-authorities.ts";
import { boardsBehind } from "../pki/rotation-progress.ts";
import { adminAccess, UserError } from "./admin-client.ts";
import { SharedKeys, untilNobody } from "./shared-keys.ts";

export interface RotationOptions {
  readonly kubeconfig: string;
  readonly dataDir: string;
  /** Seconds. */
  readonly timeout: number;
  readonly finish?: boolean | undefined;
}

const fingerprintOf = (files: KeyFiles, name: string): string => certificateFingerprint(files[name] ?? "");

interface Rotation {
  readonly client: Client;
  readonly keys: SharedKeys;
  readonly timeout_s: number;
}

function rotationOf({ kubeconfig, dataDir, timeout }: RotationOptions): Rotation {
  const { client } = adminAccess(kubeconfig);
  return { client, keys: new SharedKeys(client, dataDir), timeout_s: timeout };
}

/** `bramble certificate rotate-ca`: goes on where it stands, up to the step that a person has to be ready for. */
export async function rotateCa(options: RotationOptions & { readonly joinAnew?: boolean | undefined }): Promise<void> {
  const rotation = rotationOf(options);
  const { keys } = rotation;
  let files = await keys.read();
  if (options.finish) return finishCa(rotation, files, options.joinAnew ? "join-anew" : "come-back");
  if (rotationStage(files) === "settled") {
    files = await introduceAuthorities(files, new Date());
    await keys.write(files);
    console.log("step 1 of 3: a new CA is made known beside the present one");
  }
  if (rotationStage(files) === "introduced") {
    await untilMastersFollow(rotation);
    await untilBoards(rotation, "all boards that are ready trust the new CA", files, "ca-next.crt", "isTrusted");
    files = await switchAuthorities(await keys.read());
    await keys.write(files);
    console.log("step 2 of 3: the new CA signs; certificates are made anew");
  }
  await untilMastersFollow(rotation);
  await untilBoards(rotation, "all boards that are ready have certificates by the new CA", files, "ca.crt", "isIssuer");
  await untilPublished(rotation, files);
  console.log(
    "Everything in the cluster goes by the new CA; certificates by the former one are still taken. Copy the administrator's\n" +
      "kubeconfig anew to where it is used, and renew other certificates that people were given. Then step 3:\n" +
      "  bramble certificate rotate-ca --finish",
  );
}

async function finishCa(rotation: Rotation, files: KeyFiles, away: "come-back" | "join-anew"): Promise<void> {
  const stage = rotationStage(files);
  if (stage === "introduced")
    throw new UserError("the new CA does not sign yet: run the command without --finish first");
  if (stage === "settled") throw new UserError("no rotation of the CA is under way");
  const { keys } = rotation;
  await untilMastersFollow(rotation);
  await untilBoards(rotation, "all boards that are ready have certificates by the new CA", files, "ca.crt", "isIssuer");
  await keys.write(finishRotation(await keys.read(), away));
  await untilMastersFollow(rotation);
  console.log("step 3 of 3: the former CA is trusted no more. Join tokens that were made before need to be made anew");
}

async function untilMastersFollow({ keys, timeout_s }: Rotation): Promise<void> {
  await untilNobody("all masters go by it", timeout_s, () => keys.mastersBehind());
}

async function untilBoards(
  { client, timeout_s }: Rotation,
  what: string,
  files: KeyFiles,
  authority: "ca.crt" | "ca-next.crt",
  wanted: "isTrusted" | "isIssuer",
): Promise<void> {
  const progress = async () => boardsBehind((await client.list(nodes)).items, fingerprintOf(files, authority), wanted);
  await untilNobody(what, timeout_s, async () => (await progress()).behind);
  const { away } = await progress();
  if (away.length > 0)
    console.log(`not ready, so nobody waits for them; they catch up when they are back: ${away.join(", ")}`);
}

/** Pods find the CA in their namespace. */
async function untilPublished({ client, timeout_s }: Rotation, files: KeyFiles): Promise<void> {
  const wanted = fingerprintOf(files, "ca.crt");
  await untilNobody("the new CA is published in every namespace", timeout_s, async () => {
    const { items } = await client.list(configMaps, { fieldSelector: "metadata.name=kube-root-ca.crt" });
    const lacking = items.filter(({ data }) => !bundleFingerprints(data?.["ca.crt"] ?? "").includes(wanted));
    return lacking.map(({ metadata }) => metadata.namespace ?? "");
  });
}

/** `bramble token rotate-signing-key`: the key that signs service accounts' tokens. */
export async function rotateSigningKey(
  options: RotationOptions & { readonly force?: boolean | undefined },
): Promise<void> {
  const rotation = rotationOf(options);
  const { keys } = rotation;
  let files = await keys.read();
  if (options.finish) return finishSigningKey(rotation, files, options.force ?? false);
  if (signingStage(files) === "settled") {
    files = publishSigningKey(files);
    await keys.write(files);
    console.log("step 1 of 3: a new key is published; the present one signs");
  }
  if (signingStage(files) === "published") {
    await untilMastersFollow(rotation);
    files = switchSigningKey(await keys.read());
    await keys.write(files);
    console.log("step 2 of 3: the new key signs");
  }
  await untilMastersFollow(rotation);
  console.log(
    "New tokens are by the new key; those by the former one are still taken. Pods get new ones within the hour, but programs\n" +
      "that read their token only once go on with it for up to a year. When none is needed any more, step 3:\n" +
      "  bramble token rotate-signing-key --finish",
  );
}

async function finishSigningKey(rotation: Rotation, files: KeyFiles, force: boolean): Promise<void> {
  const stage = signingStage(files);
  if (stage !== "signing")
    throw new UserError(
      stage === "published"
        ? "the new key does not sign yet: run the command without --finish first"
        : "no former signing key is left",
    );
  const [present] = parseServiceAccountKeys(files["service-account.key"] ?? "");
  const { items } = await rotation.client.list(secrets, { fieldSelector: "type=kubernetes.io/service-account-token" });
  const lost = items.filter(({ data }) => {
    const token = Buffer.from(data?.["token"] ?? "", "base64").toString("utf8");
    return token !== "" && decodeProtectedHeader(token).kid !== present?.keyId;
  });
  if (lost.length > 0 && !force) {
    const names = lost.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(", ");
    throw new UserError(
      `tokens by the former key lie in these Secrets: ${names}. Delete their field \`token\`, and they get new ones; or end them all with --force`,
    );
  }
  await rotation.keys.write(dropFormerSigningKeys(files));
  await untilMastersFollow(rotation);
  console.log("step 3 of 3: tokens by the former key are refused");
}
