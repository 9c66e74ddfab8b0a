/** etcd's messages about its members and their files (api/etcdserverpb/rpc.proto, Cluster and Maintenance). */
import { WireReader, WireWriter, wireBytes, wireVarint } from "#shared/api/codec/wire.ts";

export const maintenancePaths = {
  memberList: "/etcdserverpb.Cluster/MemberList",
  memberAdd: "/etcdserverpb.Cluster/MemberAdd",
  memberRemove: "/etcdserverpb.Cluster/MemberRemove",
  memberUpdate: "/etcdserverpb.Cluster/MemberUpdate",
  memberPromote: "/etcdserverpb.Cluster/MemberPromote",
  status: "/etcdserverpb.Maintenance/Status",
  alarm: "/etcdserverpb.Maintenance/Alarm",
  defragment: "/etcdserverpb.Maintenance/Defragment",
} as const;

export interface EtcdMember {
  readonly id: bigint;
  /** Empty until the member has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** Empty until then, too. */
  readonly clientUrls: readonly string[];
  /** It takes part in no vote yet, and answers no reads. */
  readonly isLearner: boolean;
}

export interface MemberList {
  /** The cluster's number; it stays when members come and go. */
  readonly cluster: bigint;
  readonly members: readonly EtcdMember[];
}

export interface MemberStatus {
  readonly id: bigint;
  readonly leader: bigint;
  readonly version: string;
  /** The database file, and how much of it holds something. */
  readonly size_bytes: number;
  readonly used_bytes: number;
}

export interface EtcdAlarm {
  readonly memberId: bigint;
  readonly kind: "NOSPACE" | "CORRUPT" | "NONE";
}

const alarmKinds = ["NONE", "NOSPACE", "CORRUPT"] as const;
const deactivate = 2;

export const empty = Buffer.alloc(0);

export function encodeMemberId(id: bigint): Buffer {
  const writer = new WireWriter();
  integer(writer, 1, id);
  return writer.finish();
}

export function encodeLearner(peerUrl: string): Buffer {
  const writer = new WireWriter();
  text(writer, 1, peerUrl);
  integer(writer, 2, 1n);
  return writer.finish();
}

export function encodeMemberUpdate(id: bigint, peerUrl: string): Buffer {
  const writer = new WireWriter();
  integer(writer, 1, id);
  text(writer, 2, peerUrl);
  return writer.finish();
}

export function encodeDisarm({ memberId, kind }: EtcdAlarm): Buffer {
  const writer = new WireWriter();
  integer(writer, 1, BigInt(deactivate));
  integer(writer, 2, memberId);
  integer(writer, 3, BigInt(alarmKinds.indexOf(kind)));
  return writer.finish();
}

export function decodeMembers(buffer: Buffer): MemberList {
  const members: EtcdMember[] = [];
  let cluster = 0n;
  for (const { field, reader, wireType } of fieldsOf(new WireReader(buffer))) {
    if (field === 1) cluster = decodeHeader(reader.message()).cluster;
    else if (field === 2) members.push(decodeMember(reader.message()));
    else reader.skip(wireType);
  }
  return { cluster, members };
}

function decodeMember(message: WireReader): EtcdMember {
  let [id, name, isLearner] = [0n, "", false];
  const peerUrls: string[] = [];
  const clientUrls: string[] = [];
  for (const { field, reader, wireType } of fieldsOf(message)) {
    if (field === 1) id = unsigned(reader);
    else if (field === 2) name = reader.string();
    else if (field === 3) peerUrls.push(reader.string());
    else if (field === 4) clientUrls.push(reader.string());
    else if (field === 5) isLearner = unsigned(reader) === 1n;
    else reader.skip(wireType);
  }
  return { id, name, peerUrls, clientUrls, isLearner };
}

export function decodeStatus(buffer: Buffer): MemberStatus {
  let [id, leader, version] = [0n, 0n, ""];
  let [size_bytes, used_bytes] = [0, 0];
  for (const { field, reader, wireType } of fieldsOf(new WireReader(buffer))) {
    if (field === 1) id = decodeHeader(reader.message()).member;
    else if (field === 2) version = reader.string();
    else if (field === 3) size_bytes = Number(reader.integer());
    else if (field === 4) leader = unsigned(reader);
    else if (field === 9) used_bytes = Number(reader.integer());
    else reader.skip(wireType);
  }
  return { id, leader, version, size_bytes, used_bytes };
}

/** Who answers. */
function decodeHeader(header: WireReader): { readonly cluster: bigint; readonly member: bigint } {
  let [cluster, member] = [0n, 0n];
  for (const { field, reader, wireType } of fieldsOf(header)) {
    if (field === 1) cluster = unsigned(reader);
    else if (field === 2) member = unsigned(reader);
    else reader.skip(wireType);
  }
  return { cluster, member };
}

export function decodeAlarms(buffer: Buffer): EtcdAlarm[] {
  const alarms: EtcdAlarm[] = [];
  for (const { field, reader, wireType } of fieldsOf(new WireReader(buffer))) {
    if (field === 2) alarms.push(decodeAlarm(reader.message()));
    else reader.skip(wireType);
  }
  return alarms;
}

function decodeAlarm(message: WireReader): EtcdAlarm {
  let [memberId, kind] = [0n, 0];
  for (const { field, reader, wireType } of fieldsOf(message)) {
    if (field === 1) memberId = unsigned(reader);
    else if (field === 2) kind = Number(reader.integer());
    else reader.skip(wireType);
  }
  return { memberId, kind: alarmKinds[kind] ?? "NONE" };
}

function* fieldsOf(reader: WireReader): Generator<{ field: number; reader: WireReader; wireType: number }> {
  while (!reader.done) {
    const { number: field, wireType } = reader.tag();
    yield { field, reader, wireType };
  }
}

/** Identifiers of members take all 64 bits. */
const unsigned = (reader: WireReader): bigint => BigInt.asUintN(64, BigInt(reader.integer()));

function integer(writer: WireWriter, field: number, value: bigint): void {
  if (value === 0n) return;
  writer.tag(field, wireVarint);
  writer.integer(value);
}

function text(writer: WireWriter, field: number, value: string): void {
  writer.tag(field, wireBytes);
  writer.string(value);
}
