import { expect, test } from "bun:test";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { moreTelling } from "./cluster.ts";

test("why members do not serve is not hidden by an attempt that had too little time", () => {
  const refused = new GrpcError(GrpcCode.Unavailable, "the certificate is for another name", false);
  const broken = new GrpcError(GrpcCode.Unavailable, "the connection broke", true);
  const late = new GrpcError(GrpcCode.DeadlineExceeded, "no connection within 38 ms", false);
  expect(moreTelling(undefined, late)).toBe(late);
  expect(moreTelling(refused, late)).toBe(refused);
  expect(moreTelling(refused, broken)).toBe(broken);
  expect(moreTelling(late, refused)).toBe(refused);
  const other = new Error("no etcd endpoint is named");
  expect(moreTelling(refused, other)).toBe(other);
});
