-- The later generation of the old system, with one row of everything that is hard to move.
create type "UserRole" as enum ('SUPER_ADMIN', 'ADMIN');
create type "QueryStatus" as enum ('IN_PROGRESS', 'PENDING_REPLY', 'RESOLVED', 'TRANSFERRED');
create type "MessageType" as enum ('QUERY', 'CHAT', 'SYSTEM', 'CALL_STARTED', 'CALL_ENDED');
create type "SenderType" as enum ('ADMIN', 'DONOR', 'SYSTEM');
create type "CallStatus" as enum ('CREATED', 'STARTED', 'ENDED');
create type "CallRequestStatus" as enum ('PENDING', 'ACCEPTED', 'REJECTED', 'CANCELLED');

create table "User" (
    id serial primary key,
    username text not null unique,
    password text not null,
    name text not null,
    email text,
    role "UserRole" not null default 'ADMIN',
    avatar text,
    "isActive" boolean not null default true,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "fcmToken" text
);

create table "DonorQuery" (
    id serial primary key,
    donor text not null,
    "donorId" text not null,
    test text not null,
    stage text not null,
    device text not null,
    status "QueryStatus" not null default 'IN_PROGRESS',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "transferredTo" text,
    "transferredToUserId" integer references "User" (id),
    "resolvedById" integer references "User" (id),
    "transferNote" text,
    "assignedToId" integer references "User" (id),
    "fcmToken" text
);

create table "CallSession" (
    id serial primary key,
    "queryId" integer not null references "DonorQuery" (id),
    "adminId" integer references "User" (id),
    "roomName" text not null unique,
    status "CallStatus" not null,
    "startedAt" timestamp(3),
    "endedAt" timestamp(3),
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "adminToken" text,
    "userToken" text,
    "callType" text not null default 'video'
);

create table "CallRequest" (
    id serial primary key,
    "queryId" integer not null references "DonorQuery" (id),
    "adminId" integer references "User" (id),
    message text,
    status "CallRequestStatus" not null default 'PENDING',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create table "Message" (
    id serial primary key,
    content text not null,
    "isFromAdmin" boolean not null default false,
    "senderType" "SenderType" not null default 'ADMIN',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "queryId" integer references "DonorQuery" (id),
    "callSessionId" integer references "CallSession" (id),
    "callRequestId" integer references "CallRequest" (id),
    "senderId" integer references "User" (id),
    "recipientId" integer references "User" (id),
    "messageType" "MessageType" not null default 'QUERY',
    "roomName" text,
    "userToken" text,
    "adminToken" text,
    "fcmToken" text,
    "donorId" text,
    "donorName" text,
    "donorInfo" jsonb
);

insert into "User" (id, username, password, name, email, role, "isActive", "createdAt", "updatedAt", "fcmToken")
values
    (3, 'olga', '{hash}', 'Olga Old', '', 'SUPER_ADMIN', true, '2025-01-02T03:04:05.678', '2025-01-02T03:04:05.678', null),
    (7, 'otto', '{hash}', 'Otto Old', 'otto@example.org', 'ADMIN', true, '2025-01-03', '2025-01-03', 'a-token-of-the-phone-of-otto:1'),
    (8, 'gone', '{hash}', 'Gone Old', null, 'ADMIN', false, '2025-01-03', '2025-01-03', 'test');

insert into "DonorQuery" (
    id, donor, "donorId", test, stage, device, status, "createdAt", "updatedAt", "transferredTo", "transferredToUserId",
    "resolvedById", "transferNote", "assignedToId", "fcmToken"
)
values
    -- Answered, called about, resolved.
    (11, 'Dora', 'd-1', 'Swab', 'Start', 'iPhone', 'RESOLVED', '2025-03-01T10:00:00', '2025-03-01T12:00:00', null, null, 7, null, 7, null),
    -- Waits for an answer, with a request for a call.
    (12, 'Dora', 'd-1', 'Swab', 'Middle', 'iPhone', 'PENDING_REPLY', '2025-03-02T10:00:00', '2025-03-02T10:05:00', null, null, null, null, 3, 'the-token-of-the-phone-of-dora'),
    -- The race of the old system: the same donor has another open one.
    (13, 'Dora', 'd-1', 'Swab', 'Middle', 'iPhone', 'IN_PROGRESS', '2025-03-02T10:00:00.001', '2025-03-02T10:00:00.001', null, null, null, null, null, null),
    -- Handed over, which the old system left with its first holder.
    (14, 'Dirk', 'd-2', 'Blood', 'End', 'Pixel', 'TRANSFERRED', '2025-03-03T10:00:00', '2025-03-03T11:00:00', 'Olga Old', 3, null, 'Speaks Dutch', 7, null),
    -- Closed by the donor while a call was never ended.
    (15, 'Dana', 'd-3', 'Blood', 'End', 'Pixel', 'RESOLVED', '2025-03-04T10:00:00', '2025-03-04T11:00:00', null, null, null, null, null, null);

insert into "CallSession" (id, "queryId", "adminId", "roomName", status, "startedAt", "endedAt", "createdAt", "updatedAt", "adminToken", "userToken", "callType")
values
    (21, 11, 7, 'room-21', 'ENDED', '2025-03-01T10:11:00', '2025-03-01T10:30:00', '2025-03-01T10:10:00', '2025-03-01T10:30:00', 'owner-secret', 'user-secret', 'audio'),
    (22, 15, null, 'room-22', 'CREATED', null, null, '2025-03-04T10:30:00', '2025-03-04T10:30:00', 'owner-secret', 'user-secret', 'video');

insert into "CallRequest" (id, "queryId", "adminId", message, status, "createdAt", "updatedAt")
values
    (31, 11, 7, 'Donor requested a call', 'ACCEPTED', '2025-03-01T10:09:00', '2025-03-01T10:10:00'),
    (32, 12, null, 'Donor requested a call', 'PENDING', '2025-03-02T10:04:00', '2025-03-02T10:04:00');

insert into "Message" (id, content, "isFromAdmin", "senderType", "createdAt", "updatedAt", "queryId", "callSessionId", "callRequestId", "senderId", "messageType", "userToken", "adminToken")
values
    (41, 'Where does the swab go?', false, 'DONOR', '2025-03-01T10:00:00.100', '2025-03-01T10:00:00.100', 11, null, null, null, 'QUERY', null, null),
    (42, 'Query accepted by Otto Old', false, 'SYSTEM', '2025-03-01T10:02:00', '2025-03-01T10:02:00', 11, null, null, null, 'SYSTEM', null, null),
    (43, 'Into the tube', true, 'ADMIN', '2025-03-01T10:03:00', '2025-03-01T10:03:00', 11, null, null, null, 'CHAT', null, null),
    (44, 'Donor requested a call', false, 'SYSTEM', '2025-03-01T10:09:00', '2025-03-01T10:10:00', 11, 21, 31, null, 'SYSTEM', 'user-secret', 'owner-secret'),
    (45, 'Query resolved by Otto Old', false, 'SYSTEM', '2025-03-01T12:00:00', '2025-03-01T12:00:00', 11, null, null, 7, 'SYSTEM', null, null),
    (46, 'It leaks', false, 'DONOR', '2025-03-02T10:00:00.100', '2025-03-02T10:00:00.100', 12, null, null, null, 'QUERY', null, null),
    (47, 'Donor requested a VIDEO call', false, 'SYSTEM', '2025-03-02T10:04:00', '2025-03-02T10:04:00', 12, null, 32, null, 'SYSTEM', null, null),
    (48, 'Query transferred to Olga Old', false, 'SYSTEM', '2025-03-03T11:00:00', '2025-03-03T11:00:00', 14, null, null, null, 'SYSTEM', null, null),
    (49, 'Nobody knows where this belongs', false, 'DONOR', '2025-03-03T11:00:00', '2025-03-03T11:00:00', null, null, null, null, 'QUERY', null, null);
