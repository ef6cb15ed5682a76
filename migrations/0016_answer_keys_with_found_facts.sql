-- What was asked under an idempotency key and was there already, such as a call that goes on: the key is answered with the
-- fact that made it, and so is every repetition, whatever became of it meanwhile. Behind the fence, as appends are, so that
-- none of them is under way with the same key. False if the key has an answer.
create function answer_key_with(for_scope text, for_key text, hash bytea, fact bigint) returns boolean
language plpgsql
security definer
set search_path = public, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(5005);
    insert into command_keys (scope, key, request_hash, first_position, last_position)
    values (for_scope, for_key, hash, fact, fact)
    on conflict (scope, key) do nothing;
    return found;
end
$$;

revoke execute on function answer_key_with from public;
grant execute on function answer_key_with to concierge_service;
