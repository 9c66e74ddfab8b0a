/** Messages between an API server and a key service (k8s.io/kms/apis/v2), and what rests of a value that one keeps (kmsv2/v2). */
import { bytes, integer, type MessageOf, map, message, string } from "#shared/grpc/message.ts";

const kmsService = "v2.KeyManagementService";

export type KmsMethod = "Status" | "Encrypt" | "Decrypt";

export const kmsPath = (method: KmsMethod): string => `/${kmsService}/${method}`;

export const StatusRequest = message({});
export const StatusResponse = message({ version: string(1), healthz: string(2), keyId: string(3) });
export type StatusResponse = MessageOf<typeof StatusResponse>;

export const EncryptRequest = message({ plaintext: bytes(1), uid: string(2) });
export const EncryptResponse = message({ ciphertext: bytes(1), keyId: string(2), annotations: map(3, "bytes") });
export type EncryptResponse = MessageOf<typeof EncryptResponse>;

export const DecryptRequest = message({
  ciphertext: bytes(1),
  uid: string(2),
  keyId: string(3),
  annotations: map(4, "bytes"),
});
export const DecryptResponse = message({ plaintext: bytes(1) });

/** A value as it rests: what it was encrypted with, encrypted by the key service, stands beside it. */
export const EncryptedObject = message({
  encryptedData: bytes(1),
  keyId: string(2),
  encryptedDekSource: bytes(3),
  annotations: map(4, "bytes"),
  encryptedDekSourceType: integer(5),
});
export type EncryptedObject = MessageOf<typeof EncryptedObject>;

/** What the decrypted source of a data key is. */
export const DekSourceType = {
  /** The key of AES-GCM itself, as early versions of upstream wrote. */
  key: 0,
  /** A seed, of which HKDF (SHA-256) derives a key for each value. */
  seed: 1,
} as const;
