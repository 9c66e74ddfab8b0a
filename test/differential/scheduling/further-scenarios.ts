import { bound, decided, node, pod, running, type Scenario } from "./scenario.ts";

const began = "2026-01-01T00:00:00Z";
/** Of the node `board`; nobody has its key any more. */
const CSR = `-----BEGIN CERTIFICATE REQUEST-----
MIICeDCCAWACAQAwMzEVMBMGA1UECgwMc3lzdGVtOm5vZGVzMRowGAYDVQQDDBFz
eXN0ZW06bm9kZTpib2FyZDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB
AKmeEeZfNuD0ls9oNV4H9FhGSINUGSLc4Jtl9r8ShXQXYC67TahqorRzUOt7NYZw
Q6AmJzCqaqOekd8XDSD/uT/zr06u9RufMdI69n22XfngjqBo5hW4Cju1cNfVGFGC
gtPdAf2XmWaZXRIgTP7do2fOeryHK99/lUoA2AhHOJoz1KMNTUH77TjQO46z9/7b
vIQNlsP1CnO8HLhsH5RzgjXsacw3aJBLZWzYy4ILxB5Ic+uT6NyXpurxPNUtkoJ8
r5n9T3sCAvB9fBwlWFoAwj69sg2x+keQpF3mqUwIGLDIO1KR/L7BaOffs7gD0A/X
ZEHfBh474A/T2UdjPH55DGECAwEAAaAAMA0GCSqGSIb3DQEBCwUAA4IBAQAd6F0f
pn5QvyGYU8r9V3MPPTCC8EqMxZ812dqQ99x3ynk5WwBFacTHVBqXBuCUGorg9Yx/
HWHVmxnwp7NkU1G0u3Kf033R+L/p+Pk9oReEKt7CxYsidr0lMjqWlQIYOsqzAcdN
zSf6Ql1gUuGVjMYR8xhvv90Q8mNWNUayIKVjRxQpkdy+uVUqNfqDzVDXLUFQ1mOq
AA6jAedfu7b7yMdaKdfDZEflFOBTA5L+Kvw52JrZcSOJHmhsTPWaXcy2s4WXV1Ot
u8W+EMxuvMDp7gSgInRnJTsNrbSVqjIFkBuqJ1wVk5jW5dPuBZE4BwPCJlD6ak09
rOEIru0PswJs/V6k
-----END CERTIFICATE REQUEST-----
`;

const container = (name: string, cpu: string): object => ({
  name,
  image: "example/app:1",
  resources: { requests: { cpu } },
});

export const furtherScenarios: readonly Scenario[] = [
  {
    name: "disks",
    async play(world) {
      await node(world, "disk-a");
      const iscsi = (readOnly: boolean): object => ({
        volumes: [
          { name: "v", iscsi: { targetPortal: "192.0.2.1:3260", iqn: "iqn.2026-01.example:d", lun: 0, readOnly } },
        ],
      });
      await running(world, "writer", "disk-a", began, { spec: { ...iscsi(false) } });
      await pod(world, "second", { spec: { ...iscsi(true) } });
      await decided(world, "second");
      await world.see("in use");
      await world.delete("v1", "Pod", "writer", 0);
      await bound(world, "second");
      await pod(world, "reader", { spec: { ...iscsi(true) } });
      await bound(world, "reader");
      await world.see("read by two");
    },
  },
  {
    name: "resizes",
    async play(world) {
      await node(world, "size-a", { allocatable: { cpu: "2", memory: "4Gi", pods: "20" } });
      await running(world, "grows", "size-a", began, { spec: { containers: [container("c", "1")] } });
      const status = (cpu: string): object => ({
        containerStatuses: [
          {
            name: "c",
            image: "example/app:1",
            imageID: "i",
            ready: true,
            restartCount: 0,
            allocatedResources: { cpu },
            resources: { requests: { cpu } },
          },
        ],
      });
      await world.status("v1", "Pod", "grows", status("1500m"));
      await pod(world, "waits", { requests: { cpu: "1" } });
      await decided(world, "waits");
      await world.see("more is allocated than is asked for");
      await world.status("v1", "Pod", "grows", status("1"));
      await bound(world, "waits");
      await world.see("it is given back");
    },
  },
  {
    name: "capacity-alone",
    async play(world) {
      await node(world, "cap-only", { allocatable: {}, capacity: { cpu: "2", memory: "4Gi", pods: "20" } });
      await pod(world, "any", { requests: { cpu: "1" } });
      await decided(world, "any");
      await world.see("decided");
    },
  },
  {
    name: "certificates",
    async play(world) {
      const request = Buffer.from(CSR).toString("base64");
      const create = (name: string, signerName: string, usages: string[]) =>
        world.create({
          apiVersion: "certificates.k8s.io/v1",
          kind: "CertificateSigningRequest",
          metadata: { name },
          spec: { request, signerName, usages },
        });
      const client = ["digital signature", "key encipherment", "client auth"];
      await create("plain", "kubernetes.io/kube-apiserver-client", client);
      await create("kubelet", "kubernetes.io/kube-apiserver-client-kubelet", client);
      await create("wrong-usages", "kubernetes.io/kube-apiserver-client", ["server auth"]);
      await create("foreign", "example.com/signer", client);
      for (const name of ["plain", "kubelet", "wrong-usages", "foreign"])
        await world.patch(
          "certificates.k8s.io/v1",
          "CertificateSigningRequest",
          name,
          { status: { conditions: [{ type: "Approved", status: "True", reason: "Played", message: "approved" }] } },
          { subresource: "approval" },
        );
      await world.see("approved");
    },
  },
];
