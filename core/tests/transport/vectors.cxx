#include "transport/vectors.hxx"

namespace nuraft {
namespace transport {

namespace {

std::string text(const std::string& bytes) {
    return to_hex(bytes.data(), bytes.size());
}

std::string number(uint64_t value, int bytes) {
    std::string hex;
    for (int i = 0; i < bytes; ++i, value >>= 8) {
        const char byte_now = static_cast<char>(value & 0xff);
        hex += to_hex(&byte_now, 1);
    }
    return hex;
}

/// A server's configuration: id, dc 0, endpoint 127.0.0.1:900<id>, no aux, member, priority 1.
std::string server(int id) {
    return number(id, 4) + number(0, 4) + text("127.0.0.1:900" + std::to_string(id)) + "00" + "00" +
           "00" + number(1, 4);
}

/// A configuration: log_idx 1, prev 0, no async replication, no user context, one server.
std::string config_of_server_1() {
    return number(1, 8) + number(0, 8) + "00" + number(0, 4) + number(1, 4) + server(1);
}

/// A log pack: sizes and stand-alone entries (term, type, payload).
std::string pack_of_three() {
    const std::string entries[] = {number(1, 8) + "02" + config_of_server_1(),
                                   number(1, 8) + "01" + text("m0"),
                                   number(1, 8) + "01" + text("m1")};
    std::string pack = number(3, 4);
    for (const std::string& entry : entries) pack += number(entry.size() / 2, 4) + entry;
    return pack;
}

/// A snapshot of index 6, term 1 with one object of it.
std::string snapshot_object(uint64_t offset, bool done, const std::string& data) {
    return "02" + number(6, 8) + number(1, 8) + number(0, 8) + config_of_server_1() +
           number(offset, 8) + (done ? "01" : "00") + text(data);
}

}  // namespace

std::string to_hex(const void* bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (size_t i = 0; i < size; ++i) {
        const auto value = static_cast<const unsigned char*>(bytes)[i];
        hex += digits[value >> 4];
        hex += digits[value & 15];
    }
    return hex;
}

std::vector<byte> from_hex(const std::string& hex) {
    std::vector<byte> bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

// clang-format off
std::vector<request_vector> request_vectors() {
    return {
        {"TV-A1",
         "0003010000000200000001000000000000000100000000000000030000000000000003000000"
         "000000002400000008e2c6f0000000000100000000000000010500000068656c6c6f01000000"
         "000000000105000000776f726c64",
         append_entries_request, 1, 2, 1, 1, 3, 3, 0, "", {{1, app_log, text("hello")}, {1,
         app_log, text("world")}}},
        {"TV-A2",
         "0003010000000200000001000000000000000100000000000000050000000000000005000000"
         "000000000000000054e288b400000000",
         append_entries_request, 1, 2, 1, 1, 5, 5, 0, "", {}},
        {"TV-A3",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "000000001a000000b31af01e040000000100000000000000019579678aed6006000500000068"
         "656c6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, flag::log_timestamps, "", {{1, app_log,
         text("hello"), 1795423205816725}}},
        {"TV-A4",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "00000000170000006ec29aec100000000100000000000000010186a610360500000068656c6c"
         "6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, flag::payload_crc, "", {{1, app_log,
         text("hello"), 0, true, 0x3610A686}}},
        {"TV-A5",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "000000001f00000081ea2e291400000001000000000000000100a4be8aed6006000186a61036"
         "0500000068656c6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, flag::log_timestamps | flag::payload_crc, "",
         {{1, app_log, text("hello"), 0x000660ed8abea400, true, 0x3610A686}}},
        {"TV-A6",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "00000000120000007e60925c080000000100000000000000010500000068656c6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, flag::whole_message_crc, "", {{1, app_log,
         text("hello")}}},
        {"TV-A7",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "000000001800000038d2f9b40100000002000000716d0100000000000000010500000068656c"
         "6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, flag::metadata, "qm", {{1, app_log,
         text("hello")}}},
        {"TV-A8",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "0000000025000000d8df6d681d00000002000000716d010000000000000001a9b4988bed6006"
         "000186a610360500000068656c6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2,
         flag::metadata | flag::log_timestamps | flag::payload_crc | flag::whole_message_crc,
         "qm", {{1, app_log, text("hello"), 0x000660ed8b98b4a9, true, 0x3610A686}}},
        {"TV-A9",
         "0003010000000200000001000000000000000100000000000000020000000000000002000000"
         "00000000120000005c3244db000000000100000000000000010500000068656c6c6f",
         append_entries_request, 1, 2, 1, 1, 2, 2, 0, "", {{1, app_log, text("hello")}}},
        {"TV-A10",
         "0003010000000300000001000000000000000100000000000000030000000000000003000000"
         "00000000000000002648d27040000000",
         append_entries_request, 1, 3, 1, 1, 3, 3, flag::mark_down, "", {}},
        {"TV-V1",
         "0001030000000200000002000000000000000100000000000000030000000000000003000000"
         "000000000000000082877b7300000000",
         request_vote_request, 3, 2, 2, 1, 3, 3, 0, "", {}},
        {"TV-V4",
         "0001020000000100000002000000000000000100000000000000060000000000000006000000"
         "000000000e00000054df1920000000000000000000000000e70100000000",
         request_vote_request, 2, 1, 2, 1, 6, 6, 0, "", {{0, custom, "00"}}},
        {"TV-V5",
         "0014030000000200000001000000000000000100000000000000030000000000000003000000"
         "00000000000000008ddc0a6e00000000",
         pre_vote_request, 3, 2, 1, 1, 3, 3, 0, "", {}},
        {"TV-C1",
         "0005000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000012000000401432b9000000000000000000000000010500000068656c6c6f",
         client_request, 0, 0, 0, 0, 0, 0, 0, "", {{0, app_log, text("hello")}}},
        {"TV-M1",
         "0006000000000000000000000000000000000000000000000000000000000000000000000000"
         "000000002a0000009bba66b3000000000000000000000000031d000000030000000000000031"
         "32372e302e302e313a3930303300000001000000",
         add_server_request, 0, 0, 0, 0, 0, 0, 0, "", {{0, cluster_server, server(3)}}},
        {"TV-M4",
         "0008000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000011000000b6693cf7000000000000000000000000030400000003000000",
         remove_server_request, 0, 0, 0, 0, 0, 0, 0, "", {{0, cluster_server, "03000000"}}},
        {"TV-M7",
         "000e020000000300000002000000000000000000000000000000070000000000000007000000"
         "00000000000000005d84af7a00000000",
         leave_cluster_request, 2, 3, 2, 0, 7, 7, 0, "", {}},
        {"TV-J1",
         "000c010000000200000001000000000000000000000000000000010000000000000001000000"
         "00000000430000007dbc91b10000000001000000000000000236000000010000000000000000"
         "0000000000000000000000000100000001000000000000003132372e302e302e313a39303031"
         "00000001000000",
         join_cluster_request, 1, 2, 1, 0, 1, 1, 0, "", {{1, conf, config_of_server_1()}}},
        {"TV-J4",
         "000a010000000200000001000000000000000000000000000000000000000000000006000000"
         "00000000720000005a0c6f970000000001000000000000000465000000030000003f00000001"
         "0000000000000002010000000000000000000000000000000000000000010000000100000000"
         "0000003132372e302e302e313a39303031000000010000000b0000000100000000000000016d"
         "300b0000000100000000000000016d31",
         sync_log_request, 1, 2, 1, 0, 0, 6, 0, "", {{1, log_pack, pack_of_three()}}},
        {"TV-S1",
         "0010010000000200000001000000000000000100000000000000060000000000000007000000"
         "0000000069000000535433b7000000000100000000000000055c000000020600000000000000"
         "0100000000000000000000000000000001000000000000000000000000000000000000000001"
         "00000001000000000000003132372e302e302e313a3930303100000001000000000000000000"
         "0000006f626a30",
         install_snapshot_request, 1, 2, 1, 1, 6, 7, 0, "", {{1, snp_sync_req, snapshot_object(0,
         false, "obj0")}}},
        {"TV-S3",
         "0010010000000200000001000000000000000100000000000000060000000000000007000000"
         "000000006a000000bdfb86a5000000000100000000000000055d000000020600000000000000"
         "0100000000000000000000000000000001000000000000000000000000000000000000000001"
         "00000001000000000000003132372e302e302e313a3930303100000001000000140000000000"
         "0000016f626a3230",
         install_snapshot_request, 1, 2, 1, 1, 6, 7, 0, "", {{1, snp_sync_req,
         snapshot_object(20, true, "obj20")}}},
        {"TV-N1",
         "001c010000000300000001000000000000000000000000000000030000000000000008000000"
         "000000001c0000009dde10e3000000000000000000000000e70f000000000109000000000700"
         "000000000000",
         custom_notification_request, 1, 3, 1, 0, 3, 8, 0, "", {{0, custom,
         "000109000000000700000000000000"}}},
        {"TV-N3",
         "001c010000000200000001000000000000000100000000000000060000000000000006000000"
         "000000001300000090a239d7000000000000000000000000e706000000000200000000",
         custom_notification_request, 1, 2, 1, 1, 6, 6, 0, "", {{0, custom, "000200000000"}}},
        {"TV-N4",
         "001c020000000100000001000000000000000100000000000000060000000000000006000000"
         "0000000013000000be5afd83000000000000000000000000e706000000000300000000",
         custom_notification_request, 2, 1, 1, 1, 6, 6, 0, "", {{0, custom, "000300000000"}}},
        {"TV-X1",
         "0012010000000200000002000000000000000000000000000000000000000000000000000000"
         "0000000000000000ba48aef800000000",
         ping_request, 1, 2, 2, 0, 0, 0, 0, "", {}},
        {"TV-X3",
         "0018010000000300000002000000000000000200000000000000070000000000000007000000"
         "000000001500000008cf2126000000000200000000000000e7080000000300000032000000",
         priority_change_request, 1, 3, 2, 2, 7, 7, 0, "", {{2, custom, "0300000032000000"}}},
        {"TV-X6",
         "001a010000000200000002000000000000000000000000000000000000000000000000000000"
         "00000000000000001d1948e400000000",
         reconnect_request, 1, 2, 2, 0, 0, 0, 0, "", {}},
    };
}

std::vector<response_vector> response_vectors() {
    return {
        {"TV-A11",
         "01040300000001000000010000000000000006000000000000000100000000d046b194000000"
         "00",
         append_entries_response, append_entries_request, 3, 1, 1, 6, true, 0, "", 0, "", 0},
        {"TV-A12",
         "01040200000001000000010000000000000002000000000000000000000000d2dc6f0a000000"
         "00",
         append_entries_response, append_entries_request, 2, 1, 1, 2, false, 0, "", 0, "", 0},
        {"TV-A13",
         "0104020000000100000001000000000000000400000000000000010c00000007953cdd020000"
         "00000008000010000000000000",
         append_entries_response, append_entries_request, 2, 1, 1, 4, true, flag::hint, "", 4096,
         "", 0},
        {"TV-A14",
         "0104020000000100000001000000000000000400000000000000010a000000dbca57f8000000"
         "0000030200000000000000",
         append_entries_response, append_entries_request, 2, 1, 1, 4, true, 0, "", 0,
         "00030200000000000000", 0},
        {"TV-A15",
         "0104020000000100000001000000000000000400000000000000011d000000fda59935030000"
         "0003000000736d2100000800001000000000000000030200000000000000",
         append_entries_response, append_entries_request, 2, 1, 1, 4, true,
         flag::metadata | flag::hint, "sm!", 4096, "00030200000000000000", 0},
        {"TV-A16",
         "0104020000000100000001000000000000000300000000000000000e00000064722637020000"
         "0000000800ffffffffffffffff0001",
         append_entries_response, append_entries_request, 2, 1, 1, 3, false, flag::hint, "", -1,
         "0001", 0},
        {"TV-A17",
         "01040100000009000000030000000000000005000000000000000002000000a7ebd2b0000000"
         "000002",
         append_entries_response, append_entries_request, 1, 9, 3, 5, false, 0, "", 0, "0002",
         0},
        {"TV-A18",
         "010403000000010000000100000000000000040000000000000001000000009bf3edf4400000"
         "00",
         append_entries_response, append_entries_request, 3, 1, 1, 4, true, flag::mark_down, "",
         0, "", 0},
        {"TV-A19",
         "0104020000000100000001000000000000000400000000000000010700000006123d0a010000"
         "0003000000736d21",
         append_entries_response, append_entries_request, 2, 1, 1, 4, true, flag::metadata,
         "sm!", 0, "", 0},
        {"TV-V2",
         "0102020000000300000002000000000000000400000000000000010000000031c4d0f5000000"
         "00",
         request_vote_response, request_vote_request, 2, 3, 2, 4, true, 0, "", 0, "", 0},
        {"TV-V3",
         "0102010000000800000006000000000000000000000000000000000000000024cd1ea6000000"
         "00",
         request_vote_response, request_vote_request, 1, 8, 6, 0, false, 0, "", 0, "", 0},
        {"TV-V6",
         "01150200000003000000010000000000000004000000000000000100000000e8d3004b000000"
         "00",
         pre_vote_response, pre_vote_request, 2, 3, 1, 4, true, 0, "", 0, "", 0},
        {"TV-V7",
         "01150200000003000000010000000000000000000000000000000000000000ce90d9b6000000"
         "00",
         pre_vote_response, pre_vote_request, 2, 3, 1, 0, false, 0, "", 0, "", 0},
        {"TV-V8",
         "011501000000070000000100000000000000ffffffffffffffff000000000075e31101000000"
         "00",
         pre_vote_response, pre_vote_request, 1, 7, 1, 0xffffffffffffffff, false, 0, "", 0, "",
         0},
        {"TV-C2",
         "0104010000000100000001000000000000000700000000000000010c000000a592fec5200000"
         "00060000000000000000000000",
         append_entries_response, client_request, 1, 1, 1, 7, true, flag::result_code, "", 0,
         "0600000000000000", 0},
        {"TV-C3",
         "01040100000001000000010000000000000004000000000000000113000000a2b94e70210000"
         "0003000000736d21030000000000000000000000",
         append_entries_response, client_request, 1, 1, 1, 4, true,
         flag::metadata | flag::result_code, "sm!", 0, "0300000000000000", 0},
        {"TV-C4",
         "01040100000007000000050000000000000000000000000000000004000000bffd7b39200000"
         "00fdffffff",
         append_entries_response, client_request, 1, 7, 5, 0, false, flag::result_code, "", 0,
         "", -3},
        {"TV-C5",
         "01040100000001000000010000000000000005000000000000000104000000010f1660200000"
         "00feffffff",
         append_entries_response, client_request, 1, 1, 1, 5, true, flag::result_code, "", 0, "",
         -2},
        {"TV-M2",
         "01070100000001000000010000000000000003000000000000000104000000c4f55284200000"
         "0000000000",
         add_server_response, add_server_request, 1, 1, 1, 3, true, flag::result_code, "", 0, "",
         0},
        {"TV-M3",
         "01070100000001000000010000000000000000000000000000000004000000bab0f804200000"
         "00f9ffffff",
         add_server_response, add_server_request, 1, 1, 1, 0, false, flag::result_code, "", 0,
         "", -7},
        {"TV-M5",
         "010902000000020000000200000000000000080000000000000001040000008a415439200000"
         "0000000000",
         remove_server_response, remove_server_request, 2, 2, 2, 8, true, flag::result_code, "",
         0, "", 0},
        {"TV-M6",
         "010901000000010000000100000000000000000000000000000000040000008be4ccb5200000"
         "00f7ffffff",
         remove_server_response, remove_server_request, 1, 1, 1, 0, false, flag::result_code, "",
         0, "", -9},
        {"TV-M8",
         "010f0300000002000000020000000000000008000000000000000100000000c945735c000000"
         "00",
         leave_cluster_response, leave_cluster_request, 3, 2, 2, 8, true, 0, "", 0, "", 0},
        {"TV-M9",
         "010f0700000009000000030000000000000000000000000000000000000000bf7b42ea000000"
         "00",
         leave_cluster_response, leave_cluster_request, 7, 9, 3, 0, false, 0, "", 0, "", 0},
        {"TV-J2",
         "010d0200000001000000010000000000000001000000000000000100000000a564d38e000000"
         "00",
         join_cluster_response, join_cluster_request, 2, 1, 1, 1, true, 0, "", 0, "", 0},
        {"TV-J3",
         "010d020000000900000001000000000000000000000000000000000000000027072e42000000"
         "00",
         join_cluster_response, join_cluster_request, 2, 9, 1, 0, false, 0, "", 0, "", 0},
        {"TV-J5",
         "010b0200000001000000010000000000000004000000000000000100000000869dbe1a000000"
         "00",
         sync_log_response, sync_log_request, 2, 1, 1, 4, true, 0, "", 0, "", 0},
        {"TV-J6",
         "010b0100000007000000010000000000000003000000000000000000000000a4b57e94000000"
         "00",
         sync_log_response, sync_log_request, 1, 7, 1, 3, false, 0, "", 0, "", 0},
        {"TV-S2",
         "0111020000000100000001000000000000000a000000000000000100000000257503d0000000"
         "00",
         install_snapshot_response, install_snapshot_request, 2, 1, 1, 10, true, 0, "", 0, "",
         0},
        {"TV-S4",
         "0111020000000100000001000000000000001e0000000000000001010000000cde011c000000"
         "0000",
         install_snapshot_response, install_snapshot_request, 2, 1, 1, 30, true, 0, "", 0, "00",
         0},
        {"TV-S5",
         "01110100000009000000030000000000000015000000000000000001000000b9b16fab000000"
         "0000",
         install_snapshot_response, install_snapshot_request, 1, 9, 3, 21, false, 0, "", 0, "00",
         0},
        {"TV-N2",
         "011d030000000100000001000000000000000400000000000000010000000090321780000000"
         "00",
         custom_notification_response, custom_notification_request, 3, 1, 1, 4, true, 0, "", 0,
         "", 0},
        {"TV-N5",
         "011d0100000002000000010000000000000007000000000000000100000000455a3fce000000"
         "00",
         custom_notification_response, custom_notification_request, 1, 2, 1, 7, true, 0, "", 0,
         "", 0},
        {"TV-N6",
         "011d010000000700000001000000000000000300000000000000010000000026eab050000000"
         "00",
         custom_notification_response, custom_notification_request, 1, 7, 1, 3, true, 0, "", 0,
         "", 0},
        {"TV-X2",
         "01130200000001000000020000000000000000000000000000000000000000407ee3d4000000"
         "00",
         ping_response, ping_request, 2, 1, 2, 0, false, 0, "", 0, "", 0},
        {"TV-X4",
         "01190300000001000000020000000000000008000000000000000100000000a8853090000000"
         "00",
         priority_change_response, priority_change_request, 3, 1, 2, 8, true, 0, "", 0, "", 0},
        {"TV-X5",
         "0119010000000700000001000000000000000000000000000000000000000078239921000000"
         "00",
         priority_change_response, priority_change_request, 1, 7, 1, 0, false, 0, "", 0, "", 0},
        {"TV-X7",
         "011b020000000100000002000000000000000900000000000000010000000019436056000000"
         "00",
         reconnect_response, reconnect_request, 2, 1, 2, 9, true, 0, "", 0, "", 0},
    };
}
// clang-format on

}  // namespace transport
}  // namespace nuraft
