/** Messages between kubelet and drivers of dynamic resources (k8s.io/kubelet/pkg/apis/dra v1 and v1beta1, which are alike). */
import { type MessageOf, map, message, optional, repeated, string } from "#shared/grpc/message.ts";

/** gRPC services by the names under which drivers offer them, the newest first. */
export const draServices: ReadonlyMap<string, string> = new Map([
  ["v1.DRAPlugin", "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin"],
  ["v1beta1.DRAPlugin", "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin"],
]);

export const draMethods = { prepare: "NodePrepareResources", unprepare: "NodeUnprepareResources" } as const;

export const Claim = message({ namespace: string(1), uid: string(2), name: string(3) });
export type Claim = MessageOf<typeof Claim>;

/** Of no request named, it is of all. */
export const PreparedDevice = message({
  requestNames: repeated(1, "string"),
  poolName: string(2),
  deviceName: string(3),
  cdiDeviceIds: repeated(4, "string"),
  shareId: optional(5, "string"),
});
export type PreparedDevice = MessageOf<typeof PreparedDevice>;

/** Of preparing and unpreparing alike. */
export const ClaimsRequest = message({ claims: repeated(1, Claim) });

/** By the claim's UID. */
export const PrepareResponse = message({
  claims: map(1, message({ devices: repeated(1, PreparedDevice), error: string(2) })),
});
export const UnprepareResponse = message({ claims: map(1, message({ error: string(1) })) });

/** What makes GrpcServers of tests and drivers answer at the right paths. */
export const draPath = (service: string, method: keyof typeof draMethods): string =>
  `/${service}/${draMethods[method]}`;
