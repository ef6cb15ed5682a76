-- The earlier generation of the old system: no senders, modes in capitals.
create type "QueryStatus" as enum ('IN_PROGRESS', 'PENDING_REPLY', 'RESOLVED', 'TRANSFERRED');
create type "CallMode" as enum ('VIDEO', 'AUDIO', 'SCREEN');

create table "User" (
    id serial primary key,
    username text not null unique,
    password text not null,
    name text not null,
    email text,
    role text not null,
    avatar text,
    "isActive" boolean not null default true,
    "createdAt" timestamp(3) not null,
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
    status "QueryStatus" not null,
    "createdAt" timestamp(3) not null,
    "updatedAt" timestamp(3) not null,
    "transferredTo" text,
    "transferredToUserId" integer,
    "resolvedById" integer,
    "transferNote" text,
    "assignedToId" integer,
    "fcmToken" text
);

create table "CallSession" (
    id serial primary key,
    "queryId" integer not null,
    "adminId" integer not null,
    "roomName" text not null,
    status text not null,
    "startedAt" timestamp(3),
    "endedAt" timestamp(3),
    "createdAt" timestamp(3) not null,
    "updatedAt" timestamp(3) not null,
    "adminToken" text,
    "userToken" text,
    mode "CallMode" not null
);

create table "CallRequest" (
    id serial primary key,
    "queryId" integer not null,
    "adminId" integer,
    message text,
    status text not null,
    "createdAt" timestamp(3) not null,
    "updatedAt" timestamp(3) not null,
    mode "CallMode" not null
);

create table "Message" (
    id serial primary key,
    content text not null,
    "isFromAdmin" boolean not null,
    "createdAt" timestamp(3) not null,
    "updatedAt" timestamp(3) not null,
    "queryId" integer,
    "callSessionId" integer,
    "callRequestId" integer,
    "senderId" integer,
    "recipientId" integer,
    "messageType" text not null,
    "roomName" text,
    "userToken" text,
    "adminToken" text,
    "fcmToken" text,
    "callMode" "CallMode"
);

insert into "User" (id, username, password, name, email, role, "createdAt", "updatedAt")
values (1, 'ella', '{hash}', 'Ella Early', null, 'ADMIN', '2025-03-20', '2025-03-20');

insert into "DonorQuery" (id, donor, "donorId", test, stage, device, status, "createdAt", "updatedAt", "assignedToId")
values (1, 'Dora', 'd-1', 'Swab', 'Start', 'iPhone', 'IN_PROGRESS', '2025-03-21T10:00:00', '2025-03-21T10:10:00', 1);

insert into "CallSession" (id, "queryId", "adminId", "roomName", status, "createdAt", "updatedAt", mode)
values (1, 1, 1, 'early-1', 'ENDED', '2025-03-21T10:05:00', '2025-03-21T10:06:00', 'SCREEN');

insert into "Message" (id, content, "isFromAdmin", "createdAt", "updatedAt", "queryId", "callSessionId", "senderId", "messageType")
values
    (1, 'Hello?', false, '2025-03-21T10:00:01', '2025-03-21T10:00:01', 1, null, null, 'QUERY'),
    (2, 'Hello!', true, '2025-03-21T10:01:00', '2025-03-21T10:01:00', 1, null, 1, 'QUERY'),
    (3, 'SCREEN call started by Ella Early', true, '2025-03-21T10:05:00', '2025-03-21T10:05:00', 1, 1, 1, 'CALL_STARTED');
