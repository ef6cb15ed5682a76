-- When a key was made, behind the fence; not when its append began to wait there. So a copy of the keys that was taken
-- behind the fence has every key that is older than it.
alter table donor_keys alter column created_at set default clock_timestamp();
