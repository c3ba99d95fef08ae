{
  "targets": [
    {
      "target_name": "evoked",
      "sources": [
        "binding/addon.cpp",
        "kernel/blackrock.cpp",
        "kernel/bridge.cpp",
        "kernel/opxClient.cpp",
        "kernel/plexClient.cpp",
        "kernel/plexon.cpp",
        "kernel/receiver.cpp",
        "kernel/stream.cpp",
        "kernel/platform/library.cpp",
        "kernel/platform/thread.cpp",
        "kernel/platform/udpPosix.cpp",
        "kernel/platform/udpWindows.cpp"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "CLANG_CXX_LIBRARY": "libc++",
        "MACOSX_DEPLOYMENT_TARGET": "12.0",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES"
      },
      "msvs_settings": {
        "VCCLCompilerTool": { "ExceptionHandling": 1, "AdditionalOptions": ["/std:c++17"] }
      },
      "conditions": [
        ["OS=='win'", { "libraries": ["-lws2_32.lib"], "defines": ["WIN32_LEAN_AND_MEAN", "NOMINMAX"] }],
        ["OS=='linux'", { "libraries": ["-ldl", "-lpthread"] }]
      ]
    }
  ]
}
